// A website with the snippet as the real server serves it, visitors in real Chromium, and what the server stored of them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { bin, world } from "../support.mjs";
import { Relay } from "./relay.mjs";

/** `see` is what every scenario does: events that say themselves when they happened. */
const PAGE_SCRIPT = `function see(run, from, n) {
  for (let i = from; i < from + n; i++) trenza.track("Seen", { run, i, at: Date.now() });
}
addEventListener("pageshow", (event) => { if (event.persisted) fetch("/restored" + location.search); });`;

/** A page whose options stand in its query: `host`, `key`, `consent`; `plain` has no snippet, `sandbox` no origin. */
function html(query) {
  const tag = `<script async src="/t.js" data-write-key="${query.get("key")}" data-host="${query.get("host")}" data-consent="${query.get("consent")}"></script>`;
  return `<!doctype html><html lang="es"><title>Tienda</title><script>${PAGE_SCRIPT}</script>${query.has("plain") ? "" : tag}<a href="?${query}">Siguiente</a></html>`;
}

/** From the page's look at the clock to the snippet's, on a busy machine. */
const SAME_MOMENT_MS = 1000;

export const loaded = (page) => page.waitForFunction(() => typeof window.trenza?.user === "function");

/** Nothing waits on the terminal any more. */
export const drained = (page) => page.waitForFunction(() => !Object.keys(localStorage).some((key) => key.startsWith("trz_q")));

/** Everything the snippet could have left on the terminal. */
export const terminal = (page) => page.evaluate(async () => ({
  local: Object.keys(localStorage), session: Object.keys(sessionStorage), cookie: document.cookie,
  databases: (await indexedDB.databases()).length,
}));
export const NOTHING = { local: [], session: [], cookie: "", databases: 0 };

/** What is left once the browser has carried out the removal of the database. */
export const afterRemoval = async (page) => {
  await page.waitForFunction(async () => !(await indexedDB.databases()).length);
  return terminal(page);
};

/** The length of an outage is the scenario itself, so here nothing else can be waited for. */
export const outage = (ms) => new Promise((over) => setTimeout(over, ms));

/** A website, a server and a browser, as `browsers.mjs` has them. */
export async function openShop(kind) {
  const [place, browser] = await Promise.all([world(), kind.launch()]);
  const script = readFileSync(new URL("../../../js-snippet/dist/t.js", import.meta.url), "utf8");
  /** Queries of pages that came back from the back-forward cache. */
  const restored = [];
  const site = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://x");
    if (pathname === "/t.js") {
      // Also for a page without an origin.
      response.writeHead(200, { "Content-Type": "text/javascript", "Access-Control-Allow-Origin": "*" }).end(script);
    } else if (pathname === "/restored") {
      restored.push(searchParams.get("run"));
      response.end();
    } else {
      const sandbox = searchParams.has("sandbox") && { "Content-Security-Policy": "sandbox allow-scripts" };
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", ...sandbox }).end(html(searchParams));
    }
  });
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  let visitors = 0;

  /** Events of a run as the server's export has them. */
  const stored = (run) => new Promise((done, fail) => {
    execFile(bin("trenza-server"), ["export", "events", "--config", place.init.config], { maxBuffer: 1 << 28 }, (error, text) => {
      if (error) return fail(error);
      done(text.split("\n").filter(Boolean).map((line) => JSON.parse(line)).filter((event) => event.properties?.run === run));
    });
  });

  /** A new visitor with a way to the server of their own. */
  async function visitor(run) {
    const [context, relay] = await Promise.all([kind.newContext(browser), new Relay(place.server.http).up()]);
    // Each has an origin of their own: Firefox counts by origin what may outlive its page, over all windows.
    const origin = `http://visitor-${(visitors += 1)}.localhost:${site.address().port}`;
    const folders = [];
    let seen = 0;
    return {
      run, context, relay, origin, stored: () => stored(run), restored: () => restored.includes(run), before: kind.before,
      offline: (on) => kind.offline(context, on),
      url: (options = {}) => `${origin}/?${new URLSearchParams({ key: place.init.write_key, host: relay.origin, consent: "granted", run, ...options })}`,
      async open(options, { setUp, from = context } = {}) {
        const page = await from.newPage();
        await setUp?.(page);
        await page.goto(this.url(options));
        if (!options?.plain) await loaded(page);
        return page;
      },
      /** Tracks `n` events in one go, numbered on from what this visitor did before. */
      async track(page, n) {
        const from = seen;
        seen += n;
        await page.evaluate(([run, from, n]) => see(run, from, n), [run, from, n]);
      },
      /** Starts a browser of this visitor's own and kills it after `body`; without a profile with a new one, gone after the test. */
      async inOwnBrowser(body, profile) {
        if (!profile) folders.push(profile = mkdtempSync(join(tmpdir(), "trenza-profile-")));
        const own = await kind.own(profile);
        try {
          await body(own.context);
        } finally {
          await own.kill();
        }
        return profile;
      },
      /** All `n` events are stored once, unchanged, with the times at which they happened. */
      async everythingOnce(n) {
        await relay.until(`${n} events taken`, () => relay.taken.size >= n);
        const events = (await stored(run)).sort((a, b) => a.properties.i - b.properties.i);
        assert.deepEqual(events.map((event) => event.properties.i), Array.from({ length: n }, (_, i) => i));
        for (const { timestamp, properties } of events) {
          // Events of the same millisecond are told apart by the following ones.
          const later = Date.parse(timestamp) - properties.at;
          assert.ok(later >= 0 && later <= SAME_MOMENT_MS, `event ${properties.i} happened at ${properties.at}, stored is ${timestamp}`);
        }
        for (const { messageId } of [events[0], events.at(-1)]) {
          assert.deepEqual((await place.api(`/v1/events/${messageId}`)).conflicts, [], "a resend was equal");
        }
      },
      async close() {
        await context.close();
        await relay.down();
        for (const folder of folders) rmSync(folder, { recursive: true, force: true });
      },
    };
  }

  return {
    visitor,
    /** Both are the same when the programs were built from this snippet. */
    script: { ours: script, served: await (await fetch(`${place.server.http}/t.js`)).text() },
    async close() {
      await browser.close();
      site.closeAllConnections();
      site.close();
      await place.close();
    },
  };
}
