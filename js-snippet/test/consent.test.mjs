import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { afterRemoval, drained, loaded, NOTHING, openSite, terminal } from "./support/site.mjs";

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

/** Runs `body` with a fresh visitor. */
const visit = (name, body) => test(name, async () => {
  const visitor = await site.visitor();
  try {
    await body(visitor, visitor.collector);
    assert.deepEqual(visitor.said.filter((text) => text.startsWith("uncaught")), []);
    assert.deepEqual(visitor.collector.conflicts, []);
  } finally {
    await visitor.close();
  }
});

/** Whatever the snippet sent before it has arrived once this has. */
async function sentinel(page, collector) {
  await page.evaluate((url) => fetch(url, { method: "POST", body: '{"batch":[{"messageId":"sentinel"}]}' }), collector.origin);
  await collector.until((c) => c.stored.has("sentinel"));
  assert.equal(collector.requests.length, 1);
}

visit("pending consent stores nothing and sends nothing, and says so", async ({ open, said, url }, collector) => {
  const page = await open({}, (page) => page.clock.install());
  await page.evaluate(() => { trenza.page(); trenza.track("A"); trenza.identify("u1", { email: "a@b.c" }); });
  await page.clock.runFor(61_000);
  assert.deepEqual(await terminal(page), NOTHING);
  await page.goto(url({ n: 2 }));
  await loaded(page);
  assert.deepEqual(await terminal(page), NOTHING);
  await sentinel(page, collector);
  assert.equal(said.filter((text) => /waiting for trenza.consent/.test(text)).length, 1);
});

visit("a grant after ten minutes sends all with their own times and the chosen categories", async ({ open }, collector) => {
  const page = await open({}, (page) => page.clock.install({ time: "2026-03-14T10:00:00Z" }));
  await page.evaluate(() => trenza.track("A"));
  await page.clock.runFor(600_000);
  await page.evaluate(() => trenza.track("B"));
  await page.evaluate(() => trenza.consent("granted", { analytics: true, ads: false }));
  await page.clock.runFor(1000);
  await collector.until((c) => c.stored.size === 2);
  const [a, b] = collector.events;
  assert.equal(Math.round((Date.parse(b.timestamp) - Date.parse(a.timestamp)) / 1000), 600);
  assert.deepEqual([a.event, b.event], ["A", "B"]);
  for (const event of [a, b]) assert.deepEqual(event.context.consent, { categoryPreferences: { analytics: true, ads: false } });
  assert.equal(a.anonymousId, b.anonymousId);
});

visit("a grant is remembered by the next page", async ({ open, url }, collector) => {
  const page = await open();
  await page.evaluate(() => trenza.consent("granted", { analytics: true, ads: true }));
  await page.goto(url());
  await loaded(page);
  assert.equal(await page.evaluate(() => trenza.consent()), "granted");
  await page.evaluate(() => trenza.track("A"));
  await collector.until((c) => c.stored.size === 1);
  assert.deepEqual(collector.events[0].context.consent.categoryPreferences, { analytics: true, ads: true });
});

visit("denied stores nothing, sends nothing and wipes what an earlier grant left", async ({ open, context, said }, collector) => {
  const page = await open();
  await page.evaluate(() => { trenza.consent("granted"); trenza.identify("u1"); });
  await collector.until((c) => c.stored.size === 1);
  await drained(page);
  assert.equal((await context.cookies()).length, 1);
  collector.requests.length = 0;
  await page.evaluate(async () => { await trenza.consent("denied"); await trenza.track("A"); trenza.identify("u2"); });
  assert.deepEqual(await afterRemoval(page), NOTHING);
  assert.deepEqual(await context.cookies(), []);
  await page.reload();
  await loaded(page);
  assert.equal(await page.evaluate(() => trenza.consent()), "pending");
  await sentinel(page, collector);
  assert.equal(said.filter((text) => /consent denied/.test(text)).length, 1);
});

visit("denied while events wait in memory drops them", async ({ open }, collector) => {
  const page = await open();
  await page.evaluate(async () => { await trenza.track("A"); await trenza.consent("denied"); await trenza.consent("granted"); await trenza.track("B"); });
  await collector.until((c) => c.stored.size === 1);
  await drained(page);
  assert.deepEqual(collector.names, ["B"]);
});

visit("Global Privacy Control counts as denied until the visitor grants explicitly", async ({ open, context, url }, collector) => {
  await context.addInitScript(() => Object.defineProperty(navigator, "globalPrivacyControl", { value: true }));
  const page = await open({ consent: "granted" });
  assert.equal(await page.evaluate(() => trenza.consent()), "denied");
  await page.evaluate(() => trenza.track("A"));
  assert.deepEqual(await afterRemoval(page), NOTHING);
  await page.evaluate(async () => { await trenza.consent("granted"); await trenza.track("B"); });
  await collector.until((c) => c.stored.size === 1);
  await page.goto(url());
  await loaded(page);
  assert.equal(await page.evaluate(() => trenza.consent()), "granted");
  assert.deepEqual(collector.names, ["B"]);
});

visit("a grant from before Global Privacy Control was switched on no longer counts", async ({ open, context }) => {
  const first = await open();
  await first.evaluate(() => trenza.consent("granted"));
  await first.close();
  await context.addInitScript(() => Object.defineProperty(navigator, "globalPrivacyControl", { value: true }));
  const page = await open();
  assert.equal(await page.evaluate(() => trenza.consent()), "denied");
  assert.deepEqual(await afterRemoval(page), NOTHING);
});

visit("data-consent denied wins over a remembered grant", async ({ open }) => {
  const first = await open();
  await first.evaluate(() => trenza.consent("granted"));
  const page = await open({ consent: "denied" });
  assert.equal(await page.evaluate(() => trenza.consent()), "denied");
  assert.deepEqual(await afterRemoval(page), NOTHING);
});

visit("a choice in one tab holds in the other, which takes over its visitor id", async ({ open }, collector) => {
  const [one, two] = [await open(), await open()];
  await two.evaluate(() => trenza.track("waits in two"));
  await one.evaluate(() => { trenza.consent("granted"); trenza.track("one"); });
  await collector.until((c) => c.stored.size === 2);
  assert.equal(new Set(collector.events.map((e) => e.anonymousId)).size, 1);
  await one.evaluate(() => trenza.consent("denied"));
  await two.waitForFunction(async () => (await trenza.consent()) === "denied");
});
