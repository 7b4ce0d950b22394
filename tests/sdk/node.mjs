// The SDKs that run in Node: sends the four texts of each case of the first line of standard input, all at once, as
// `python_sdks.py` does, and stops when standard input ends. Each is a function that gives a way to stop it.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const load = createRequire(join(process.env.TRENZA_SDKS, "package.json"));
const quiet = () => undefined;

const SDKS = {
  "@segment/analytics-node"({ url, key, texts }) {
    const { Analytics } = load("@segment/analytics-node");
    const client = new Analytics({ writeKey: key, host: url, flushAt: 3, flushInterval: 300 });
    client.on("error", quiet);
    const userId = texts.user;
    client.identify({ userId, traits: { note: texts.trait } });
    client.page({ userId, name: texts.page });
    client.track({ userId, event: "Ordinary", properties: { text: texts.track } });
    client.track({ userId, event: "Long", properties: { text: texts.long } });
    return () => client.closeAndFlush({ timeout: 5_000 });
  },

  "@rudderstack/rudder-sdk-node"({ url, key, texts }) {
    const Client = load("@rudderstack/rudder-sdk-node");
    const client = new (Client.default ?? Client)(key, { dataPlaneUrl: url, flushAt: 3, flushInterval: 300, logLevel: "error" });
    const userId = texts.user;
    client.identify({ userId, traits: { note: texts.trait } });
    client.page({ userId, name: texts.page });
    client.track({ userId, event: "Ordinary", properties: { text: texts.track } });
    client.track({ userId, event: "Long", properties: { text: texts.long } });
    return quiet;
  },

  "@jitsu/js, s2s"({ url, key, texts }) {
    const { jitsuAnalytics } = load("@jitsu/js");
    const client = jitsuAnalytics({ host: url, writeKey: `${key}:secret`, s2s: true });
    return inOrder([
      () => client.identify(texts.user, { note: texts.trait }),
      () => client.page({ name: texts.page }),
      () => client.track("Ordinary", { text: texts.track }),
      () => client.track("Long", { text: texts.long }),
    ]);
  },

  "@snowplow/node-tracker"({ url, key, texts }) {
    const { newTracker, buildPageView, buildSelfDescribingEvent, buildStructEvent } = load("@snowplow/node-tracker");
    const tracker = newTracker({ namespace: texts.user, appId: key, encodeBase64: true }, { endpoint: url, eventMethod: "post", bufferSize: 1 });
    tracker.setUserId(texts.user);
    tracker.track(buildSelfDescribingEvent({ event: { schema: "iglu:org.example/identify/jsonschema/1-0-0", data: { note: texts.trait } } }));
    tracker.track(buildPageView({ pageUrl: "https://shop.example/", pageTitle: texts.page }));
    tracker.track(buildStructEvent({ category: "c", action: "Ordinary", label: texts.track }));
    tracker.track(buildSelfDescribingEvent({ event: { schema: "iglu:org.example/long/jsonschema/1-0-0", data: { text: texts.long } } }));
    // It keeps what failed until it is asked again.
    const again = setInterval(() => tracker.flush(), 500);
    return () => clearInterval(again);
  },

  "posthog-node"({ url, key, texts }) {
    const { PostHog } = load("posthog-node");
    const client = new PostHog(key, { host: url, flushAt: 3, flushInterval: 300, fetchRetryDelay: 500 });
    const distinctId = texts.user;
    client.identify({ distinctId, properties: { note: texts.trait } });
    client.capture({ distinctId, event: "$pageview", properties: { title: texts.page } });
    client.capture({ distinctId, event: "Ordinary", properties: { text: texts.track } });
    client.capture({ distinctId, event: "Long", properties: { text: texts.long } });
    return () => client.shutdown(5_000);
  },
};

/** One after the other, whatever becomes of each: for SDKs that neither wait nor try again. */
function inOrder(calls) {
  const all = calls.reduce((before, call) => before.then(call).catch(quiet), Promise.resolve());
  return () => all;
}

const input = createInterface({ input: process.stdin });
const over = new Promise((done) => input.once("close", done));
const { sdk, cases } = await new Promise((done) => input.once("line", (line) => done(JSON.parse(line))));
const fault = (one) => (error) => console.error(`${one.texts.user}: ${String(error).slice(0, 300)}`);
await Promise.all(cases.map(async (one) => {
  const stop = await SDKS[sdk](one);
  await over;
  await stop();
}).map((run, at) => run.catch(fault(cases[at]))));
// Some keep timers that nobody can stop.
process.exit(0);
