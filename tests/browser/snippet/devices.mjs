// Scenarios in which the browser or the device is at fault: killed, crashed, full, with several tabs, with a wrong clock.

import assert from "node:assert/strict";

import { drained, outage } from "./shop.mjs";

const KILLED_AFTER_MS = 100;
const SLOW_MS = 150;
/** A tab looks after what another one queued 5 s later. */
const TAKEN_OVER_MS = 15_000;
const THREE_DAYS_MS = 3 * 86_400_000;

export async function browserKilled(visitor, n) {
  const profile = await visitor.inOwnBrowser(async (context) => {
    const page = await visitor.open({}, { from: context });
    // Somebody has looked at the page for a moment.
    await page.waitForFunction(async () => (await indexedDB.databases()).length === 1);
    await visitor.relay.down();
    await visitor.track(page, n);
    await outage(KILLED_AFTER_MS);
  });
  await visitor.relay.up();
  await visitor.inOwnBrowser(async (context) => {
    await drained(await visitor.open({}, { from: context }));
    await visitor.everythingOnce(n);
  }, profile);
}

export async function rendererCrash(visitor, n) {
  const page = await visitor.open();
  await visitor.relay.down();
  await visitor.track(page, n);
  await Promise.all([page.waitForEvent("crash"), page.goto("chrome://crash").catch(() => undefined)]);
  await visitor.relay.up();
  await drained(await visitor.open());
}

export async function fourTabs(visitor, n) {
  const { relay } = visitor;
  const tabs = [];
  for (let tab = 0; tab < 4; tab++) tabs.push(await visitor.open());
  relay.fault = () => outage(SLOW_MS);
  const most = Math.ceil(n / 5);
  await Promise.all(tabs.map((tab) => visitor.track(tab, most)));
  await relay.until("all four were sent", () => relay.taken.size >= 4 * most);
  await Promise.all(tabs.map(drained));
  assert.equal(relay.atOnceMax, 1, "one tab sends at a time");
  // The one that sends is closed in the middle of it; another takes over.
  const held = relay.requests.length;
  relay.fault = () => (relay.requests.length === held + 1 ? new Promise(() => undefined) : undefined);
  const sending = Promise.any(tabs.map((tab) => tab.waitForRequest((request) => request.url().endsWith("/v1/batch")).then(() => tab)));
  await visitor.track(tabs[0], n - 4 * most);
  const sender = await sending;
  await relay.until("its request is under way", () => relay.requests.length > held);
  await sender.close();
  await relay.until("another tab took over", () => relay.taken.size >= n, TAKEN_OVER_MS);
  await drained(tabs.find((tab) => tab !== sender));
}

export async function storageFull(visitor, n) {
  const page = await visitor.open();
  const session = await visitor.context.newCDPSession(page);
  await session.send("Storage.overrideQuotaForOrigin", { origin: visitor.origin, quotaSize: 1 });
  await page.evaluate(() => {
    for (let size = 1 << 22; size; size >>= 1) {
      try {
        for (;;) localStorage.setItem("filler" + size + Math.random(), "x".repeat(size));
      } catch (error) {
        if (error.name !== "QuotaExceededError") throw error;
      }
    }
  });
  await visitor.relay.down();
  await visitor.track(page, n - 2);
  await visitor.relay.up();
  await visitor.relay.until("memory kept them", () => visitor.relay.taken.size >= n - 2);
  await visitor.track(page, 2);
  await page.close({ runBeforeUnload: true });
}

export async function storageForbidden(visitor, n) {
  const page = await visitor.open({ sandbox: 1 });
  assert.equal(await page.evaluate(() => { try { return typeof localStorage; } catch { return "forbidden"; } }), "forbidden");
  await visitor.track(page, n);
  await page.close({ runBeforeUnload: true });
}

export async function backForwardCache(visitor, n) {
  await visitor.inOwnBrowser(async (context) => {
    const page = await visitor.open({}, { from: context });
    await visitor.relay.down();
    await visitor.track(page, n);
    // A page with a request under way may not be kept, as the browser likes; this one waits for its next try.
    await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("trz_w")));
    await page.goto(visitor.url({ plain: 1 }));
    await visitor.relay.up();
    // Nothing of this visitor is open but the page in the cache; it sends when it is shown again.
    await page.evaluate(() => void setTimeout(() => history.back()));
    await visitor.everythingOnce(n);
    assert.ok(visitor.restored(), "the page came from the cache");
  });
}

/** A device three days ahead, whose clock is mended while events wait. */
export async function wrongClock(visitor, n) {
  const ahead = n > 10 ? -THREE_DAYS_MS : THREE_DAYS_MS;
  const page = await visitor.open({}, { setUp: (page) => visitor.before(page, (ahead) => {
    const { now } = Date;
    Date.now = () => now() + ahead;
    window.Date = new Proxy(Date, { construct: (real, args) => new real(...(args.length ? args : [Date.now()])) });
  }, ahead) });
  assert.ok(Math.abs(await page.evaluate(() => +new Date()) - Date.now() - ahead) < 60_000);
  visitor.relay.fault = () => ({ status: 503, retryAfter: 2 });
  await visitor.track(page, n - 1);
  await visitor.relay.until("it has to wait", () => visitor.relay.requests[0]?.status);
  await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("trz_w")));
  visitor.relay.fault = () => undefined;
  await page.close();
  const right = await visitor.open();
  await visitor.track(right, 1);
  await drained(right);
  const [first] = (await visitor.stored()).filter(({ properties }) => properties.i === 0);
  assert.ok(Math.abs(Date.parse(first.timestamp) - Date.now() - ahead) < 60_000, "the device's time is kept as it said it");
}
