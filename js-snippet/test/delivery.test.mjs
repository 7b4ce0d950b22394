import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { drained, loaded, openSite, waiting } from "./support/site.mjs";

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

const visit = (name, body) => test(name, async () => {
  const visitor = await site.visitor();
  try {
    await body(visitor, visitor.collector);
    assert.deepEqual(visitor.said.filter((text) => text.startsWith("uncaught")), []);
    // Whatever was sent twice was equal, so the server drops it.
    assert.deepEqual(visitor.collector.conflicts, []);
  } finally {
    await visitor.close();
  }
});

const GRANTED = { consent: "granted" };
const track = (page, ...names) => page.evaluate((names) => { for (const name of names) trenza.track(name); }, names);
const range = (n, start = "e") => Array.from({ length: n }, (_, i) => start + String(i).padStart(3, "0"));

visit("server down, reload, server up: everything arrives once", async ({ open, url }, collector) => {
  await collector.down();
  const page = await open(GRANTED);
  await track(page, ...range(5));
  await page.goto(url({ ...GRANTED, n: 2 }));
  await loaded(page);
  assert.equal(await waiting(page), 5);
  await track(page, "second page");
  await collector.up();
  await collector.until((c) => c.stored.size === 6);
  await drained(page);
  assert.deepEqual(collector.names, [...range(5), "second page"]);
});

visit("server down, tab closed, next visit: everything arrives once", async ({ open }, collector) => {
  await collector.down();
  const page = await open(GRANTED);
  await track(page, ...range(5));
  await page.close();
  await collector.up();
  const next = await open(GRANTED);
  await collector.until((c) => c.stored.size === 5);
  await drained(next);
  assert.deepEqual(collector.names, range(5));
});

visit("what localStorage lost, IndexedDB brings back: sent once", async ({ open }, collector) => {
  await collector.down();
  const page = await open(GRANTED);
  await track(page, ...range(5));
  await page.evaluate(async () => {
    const kept = () => new Promise((done, fail) => {
      const opened = indexedDB.open("trz_");
      opened.onerror = fail;
      opened.onsuccess = () => {
        const all = opened.result.transaction("trz_").objectStore("trz_").getAllKeys();
        all.onsuccess = () => { opened.result.close(); done(all.result.filter((key) => key.startsWith("trz_q")).length); };
      };
    });
    while ((await kept()) < 5);
    for (const key of Object.keys(localStorage)) if (key.startsWith("trz_q") || key.startsWith("trz_w")) localStorage.removeItem(key);
  });
  await page.close();
  await collector.up();
  const next = await open(GRANTED);
  await collector.until((c) => c.stored.size === 5);
  await drained(next);
  assert.deepEqual(collector.names, range(5));
  assert.equal(collector.requests.length, 1);
});

visit("server down while the page stays open: it comes back by itself", async ({ open }, collector) => {
  await collector.down();
  const page = await open(GRANTED);
  await track(page, "A");
  await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("trz_w")));
  await collector.up();
  await collector.until((c) => c.stored.size === 1);
  await drained(page);
});

visit("tab closed right after track", async ({ open }, collector) => {
  const page = await open(GRANTED);
  await page.evaluate(() => { trenza.track("A"); trenza.track("B"); });
  await page.close({ runBeforeUnload: true });
  await collector.until((c) => c.stored.size === 2);
  const next = await open(GRANTED);
  await drained(next);
  assert.deepEqual(collector.names, ["A", "B"]);
});

visit("renderer crash while the server is away: the next visit sends", async ({ open }, collector) => {
  collector.behave = () => ({ status: 503 });
  const page = await open(GRANTED);
  await track(page, ...range(5));
  await collector.until((c) => c.requests.length === 1);
  await Promise.all([page.waitForEvent("crash"), page.goto("chrome://crash").catch(() => undefined)]);
  collector.behave = () => undefined;
  const next = await open(GRANTED);
  await collector.until((c) => c.stored.size === 5);
  await drained(next);
  assert.deepEqual(collector.names, range(5));
});

visit("next page right after track", async ({ open, url }, collector) => {
  const page = await open(GRANTED);
  const target = url({ ...GRANTED, n: 2 });
  await page.evaluate(() => { trenza.track("A"); });
  await page.goto(target);
  await loaded(page);
  await collector.until((c) => c.stored.size === 1);
  await drained(page);
  assert.deepEqual(collector.names, ["A"]);
});

visit("leaving the page sends at most 64 KB at once, and nothing is lost", async ({ open }, collector) => {
  const page = await open(GRANTED);
  // In one task, or an ordinary request of any size might go out before the page is left.
  await page.evaluate(() => {
    for (let i = 0; i < 90; i++) trenza.track("e" + i, { text: "é".repeat(1000) });
    location.href = "about:blank";
  });
  await collector.until((c) => c.stored.size > 0);
  assert.ok(collector.requests[0].bytes < 65_536);
  const next = await open(GRANTED);
  await collector.until((c) => c.stored.size === 90);
  await drained(next);
});

for (const status of [503, 429]) {
  visit(`${status} with Retry-After: nothing earlier, not even after a reload`, async ({ open }, collector) => {
    collector.behave = () => (collector.requests.length ? undefined : { status, retryAfter: 2 });
    const page = await open(GRANTED);
    await track(page, "A");
    await collector.until((c) => c.requests.length === 1);
    await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("trz_w")));
    await page.reload();
    await loaded(page);
    await track(page, "B");
    await collector.until((c) => c.stored.size === 2);
    await drained(page);
    assert.ok(collector.requests[1].at - collector.requests[0].at >= 2000);
    assert.deepEqual(collector.names, ["A", "B"]);
  });
}

visit("503 for ten minutes: few requests, then everything", async ({ open }, collector) => {
  collector.behave = () => ({ status: 503 });
  const page = await open(GRANTED, (page) => page.clock.install());
  await track(page, ...range(3));
  let second = 0;
  const perMinute = [];
  for (let minute = 0; minute < 10; minute++) {
    const before = collector.requests.length;
    for (; second < 60 * (minute + 1); second++) {
      await page.clock.runFor(1000);
    }
    perMinute.push(collector.requests.length - before);
  }
  assert.ok(Math.max(...perMinute) <= 12, perMinute.join());
  assert.ok(collector.requests.length >= 10, perMinute.join());
  collector.behave = () => undefined;
  await page.clock.runFor(61_000);
  await collector.until((c) => c.stored.size === 3);
});

visit("each pause is drawn from up to twice the last one, at most a minute", async ({ open }, collector) => {
  collector.behave = () => ({ status: 503 });
  const page = await open(GRANTED, async (page) => {
    await page.clock.install();
    await page.addInitScript(() => { Math.random = () => 0.5; });
  });
  await track(page, "A");
  const pauses = [];
  let until;
  for (let next = 100; pauses.length < 9; next = pauses.at(-1)) {
    await page.clock.runFor(next);
    await page.waitForFunction((before) => (localStorage["trz_w|wk_test"] ?? before) !== before, until);
    [until, pauses[pauses.length]] = await page.evaluate(() => [localStorage["trz_w|wk_test"], localStorage["trz_w|wk_test"] - Date.now()]);
  }
  const drawn = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
  // The page's clock goes on while the answer comes.
  for (const [turn, pause] of pauses.entries()) assert.ok(pause <= drawn[turn] && pause > drawn[turn] - 500, `${pauses}`);
});

visit("413 splits the batch until it fits", async ({ open }, collector) => {
  collector.behave = (body) => (body.batch.length > 7 ? { status: 413 } : undefined);
  const page = await open(GRANTED);
  await track(page, ...range(50));
  await collector.until((c) => c.stored.size === 50);
  await drained(page);
  assert.deepEqual(collector.names, range(50));
});

visit("a poison event in a batch of 50 is dropped with a warning; the other 49 arrive", async ({ open, said }, collector) => {
  collector.behave = (body, text) => (text.includes("e023") ? { status: 400 } : undefined);
  const page = await open(GRANTED);
  await track(page, ...range(50));
  await collector.until((c) => c.stored.size === 49);
  await drained(page);
  assert.deepEqual(collector.names, range(50).filter((name) => name !== "e023"));
  assert.equal(said.filter((text) => /refused an event/.test(text)).length, 1);
});

visit("401, 404 and 500 drop nothing", async ({ open }, collector) => {
  const answers = [401, 404, 500];
  collector.behave = () => ({ status: answers[collector.requests.length] ?? 200 });
  const page = await open(GRANTED);
  await track(page, "A");
  await collector.until((c) => c.stored.size === 1);
  await drained(page);
});

visit("a lost answer: the resend is equal, so it is stored once", async ({ open }, collector) => {
  collector.behave = () => (collector.requests.length < 2 ? { destroy: true, store: true } : undefined);
  const page = await open(GRANTED);
  await track(page, ...range(5));
  await collector.until((c) => c.requests.length === 3);
  await drained(page);
  assert.deepEqual(collector.names, range(5));
});

visit("a 200 that is not the server's does not count", async ({ open }, collector) => {
  collector.behave = () => (collector.requests.length ? undefined : { status: 200, store: false, reply: "<h1>Sign in to the network</h1>" });
  const page = await open(GRANTED);
  await track(page, "A");
  await collector.until((c) => c.stored.size === 1);
  await drained(page);
});

visit("200 events arrive once, in one request", async ({ open }, collector) => {
  const page = await open(GRANTED);
  await track(page, ...range(200));
  await collector.until((c) => c.stored.size === 200);
  await drained(page);
  assert.deepEqual(collector.names, range(200));
  assert.deepEqual(collector.requests.map((r) => r.body.batch.length), [200]);
  const overhead = collector.requests[0].body.batch.map((e) => JSON.stringify({ ...e, event: "", properties: {} }).length);
  assert.ok(Math.max(...overhead) <= 250, String(Math.max(...overhead)));
  const times = collector.events.map((e) => e.timestamp);
  assert.deepEqual(times, [...new Set(times)].sort(), "times keep the order of the calls");
});

visit("two tabs at once: no loss, one flusher", async ({ open }, collector) => {
  const [one, two] = [await open(GRANTED), await open({ ...GRANTED, n: 2 })];
  await Promise.all([track(one, ...range(60, "one")), track(two, ...range(60, "two"))]);
  await collector.until((c) => c.stored.size === 120);
  await Promise.all([drained(one), drained(two)]);
  assert.deepEqual(collector.names, [...range(60, "one"), ...range(60, "two")]);
});

visit("a tab that stays sends what a closed one left", async ({ open }, collector) => {
  collector.behave = () => ({ status: 503 });
  const [stays, goes] = [await open(GRANTED), await open(GRANTED)];
  await track(goes, "A");
  await collector.until((c) => c.requests.length >= 1);
  await goes.close();
  collector.behave = () => undefined;
  await collector.until((c) => c.stored.size === 1);
  await drained(stays);
});

visit("over the limit of 1,000 the oldest go and the next events say how many", async ({ open }, collector) => {
  collector.behave = () => ({ status: 503, retryAfter: 3 });
  const page = await open(GRANTED);
  await track(page, "first");
  await collector.until((c) => c.requests.length === 1);
  collector.behave = () => undefined;
  await page.evaluate(() => { for (let i = 0; i < 1004; i++) trenza.track("e" + i); });
  assert.equal(await waiting(page), 1000);
  await collector.until((c) => c.stored.size === 1000);
  await drained(page);
  const dropped = collector.events.reduce((sum, e) => sum + (e.context.trenza.dropped ?? 0), 0);
  assert.equal(dropped, 5);
  assert.ok(!collector.names.includes("first"));
});

visit("back from the back-forward cache it goes on", async ({ open, url }, collector) => {
  const page = await open(GRANTED);
  await track(page, "A");
  await collector.until((c) => c.stored.size === 1);
  await page.goto(url({ ...GRANTED, n: 2 }));
  await page.goBack();
  await loaded(page);
  await track(page, "B");
  await collector.until((c) => c.stored.size === 2);
  await drained(page);
});
