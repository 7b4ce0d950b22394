// The SDKs that run in a browser, bundled into one script of a test page: `drive(mode, case)` sends the four texts.

import { jitsuAnalytics } from "@jitsu/js";
import { RudderAnalytics } from "@rudderstack/analytics-js/bundled";
import { AnalyticsBrowser } from "@segment/analytics-next";
import { flushBuffer, newTracker, setUserId, trackPageView, trackSelfDescribingEvent, trackStructEvent } from "@snowplow/browser-tracker";
import posthog from "posthog-js";

const hostOf = (url) => `${url.replace("http://", "")}/v1`;

/** What the four calls of the Segment family are called everywhere. */
const speak = (client, texts) => [
  () => client.identify(texts.user, { note: texts.trait }),
  () => client.page(texts.page),
  () => client.track("Ordinary", { text: texts.track }),
  () => client.track("Long", { text: texts.long }),
].forEach((call) => call());

const segment = (settings, options) => ({ url, key, texts }) =>
  speak(AnalyticsBrowser.load({ writeKey: key, ...settings(url, key) }, options?.(url)), texts);
const cdn = (url) => ({ cdnURL: url });

const rudder = (options) => ({ url, key, texts }) => {
  const client = new RudderAnalytics();
  client.load(key, url, { configUrl: url, polyfillIfRequired: false, ...options });
  speak(client, texts);
};

const snowplow = (options) => ({ url, key, texts }) => {
  newTracker("sp", url, { appId: key, ...options });
  setUserId(texts.user);
  trackSelfDescribingEvent({ event: { schema: "iglu:org.example/identify/jsonschema/1-0-0", data: { note: texts.trait } } });
  trackPageView({ title: texts.page });
  trackStructEvent({ category: "c", action: "Ordinary", label: texts.track });
  trackSelfDescribingEvent({ event: { schema: "iglu:org.example/long/jsonschema/1-0-0", data: { text: texts.long } } });
  // It keeps what failed until it is asked again.
  setInterval(() => flushBuffer(), 500);
};

const MODES = {
  "@segment/analytics-next, settings": segment(cdn),
  "@segment/analytics-next, explicit": segment(cdn, (url) => ({ integrations: { "Segment.io": { apiHost: hostOf(url), protocol: "http" } } })),
  "@segment/analytics-next, inline": segment((url, key) => ({
    cdnSettings: { integrations: { "Segment.io": { apiKey: key, apiHost: hostOf(url), protocol: "http" } } },
  })),
  "@segment/analytics-next, batching": segment(cdn, () => ({
    integrations: { "Segment.io": { deliveryStrategy: { strategy: "batching", config: { size: 3, timeout: 300 } } } },
  })),
  // The page has its stub and loads the script itself.
  "@segment/analytics-next, snippet": ({ texts }) => speak(window.analytics, texts),
  "@rudderstack/analytics-js, single": rudder({}),
  "@rudderstack/analytics-js, batch": rudder({ queueOptions: { batch: { enabled: true, maxItems: 3, flushInterval: 500 } } }),
  "@rudderstack/analytics-js, beacon": rudder({ useBeacon: true, beaconQueueOptions: { maxItems: 2, flushQueueInterval: 500 } }),
  async "@jitsu/js"({ url, key, texts }) {
    const client = jitsuAnalytics({ host: url, writeKey: `${key}:any` });
    const calls = [
      () => client.identify(texts.user, { note: texts.trait }),
      () => client.page({ name: texts.page }),
      () => client.track("Ordinary", { text: texts.track }),
      () => client.track("Long", { text: texts.long }),
    ];
    // Of a call that failed it never says so.
    const enough = () => new Promise((done) => setTimeout(done, 1_000));
    for (const call of calls) await Promise.race([call().catch(() => undefined), enough()]);
  },
  "@snowplow/browser-tracker, post": snowplow({ postPath: "/com.example/collect" }),
  "@snowplow/browser-tracker, get": snowplow({ eventMethod: "get" }),
  "posthog-js"({ url, key, texts }) {
    posthog.init(key, {
      api_host: url, opt_out_useragent_filter: true, autocapture: false, capture_pageview: false, capture_pageleave: false,
      person_profiles: "always", request_queue_config: { flush_interval_ms: 300 },
    });
    posthog.identify(texts.user, { note: texts.trait });
    posthog.capture("$pageview", { note: texts.page });
    posthog.capture("Ordinary", { text: texts.track });
    posthog.capture("Long", { text: texts.long });
  },
};

window.drive = (mode, how) => void MODES[mode](how);
window.modes = Object.keys(MODES);
