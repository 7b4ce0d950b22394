import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { drained, KEY, loaded, NOTHING, openSite, STUB, terminal } from "./support/site.mjs";

const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let site;
before(async () => { site = await openSite(); });
after(() => site.close());

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

visit("page, track and identify arrive once in one request without preflight or cookies", async ({ open, context }, collector) => {
  const page = await open({ consent: "granted", n: "home" });
  await page.evaluate(() => {
    trenza.page("Docs", "Home", { topic: "x" });
    trenza.track("Clicked", { n: 1 });
    trenza.identify("u1", { email: "ada@example.org" });
    trenza.track("Later");
  });
  await collector.until((c) => c.stored.size === 4);
  await drained(page);
  assert.equal(collector.requests.length, 1);
  assert.equal(collector.preflights, 0);
  const [{ body, type, cookie, path }] = collector.requests;
  assert.equal(path, "/v1/batch");
  assert.match(type, /^text\/plain/);
  assert.equal(cookie, undefined);
  assert.equal(body.writeKey, KEY);
  assert.ok(Math.abs(Date.parse(body.sentAt) - Date.now()) < 60_000);
  // Shared context once: what stands in the root stands in no event.
  assert.deepEqual(Object.keys(body.context).sort(), ["consent", "library", "locale", "page", "timezone", "trenza"]);
  for (const event of body.batch) assert.deepEqual(event.context, {});

  const [view, clicked, identified, later] = collector.events;
  assert.deepEqual([view.type, view.category, view.name, view.properties], ["page", "Docs", "Home", { topic: "x" }]);
  assert.deepEqual([clicked.event, clicked.properties, clicked.userId], ["Clicked", { n: 1 }, undefined]);
  assert.deepEqual([identified.userId, identified.traits], ["u1", { email: "ada@example.org" }]);
  assert.equal(later.userId, "u1");
  for (const event of collector.events) {
    assert.match(event.messageId, UUID4);
    assert.match(event.anonymousId, UUID4);
    assert.match(event.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  }
  const { page: at, library, trenza, locale, timezone } = view.context;
  assert.deepEqual([at.path, at.title, at.referrer, at.url], ["/", "Page home", "", page.url()]);
  assert.ok(at.search.startsWith("?host="));
  assert.deepEqual([library.name, trenza, typeof locale, typeof timezone], ["trenza.js", { channel: "web" }, "string", "string"]);
  const [stored] = await context.cookies();
  assert.deepEqual([stored.name, stored.value, stored.sameSite], ["trz_vid", view.anonymousId, "Lax"]);
  const days = (stored.expires - Date.now() / 1000) / 86_400;
  assert.ok(days > 399 && days <= 400);
  assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes("ada@example.org"));
});

visit("one line with data-auto-page sends one page event", async ({ open }, collector) => {
  const page = await open({ consent: "granted", auto: "true" });
  await collector.until((c) => c.stored.size === 1);
  await drained(page);
  assert.deepEqual(collector.events.map((e) => e.type), ["page"]);
});

visit("the default host is the origin of the script", async ({ open }) => {
  await open({ consent: "granted", host: undefined, auto: "true", n: "own" });
  await site.own.until((c) => c.events.some((e) => e.context.page.title === "Page own"));
});

visit("calls queued by the stub before it loads keep their order, times and promises", async ({ open }, collector) => {
  assert.ok(STUB.length <= 350, `the stub has ${STUB.length} B`);
  const page = await open({
    stub: `trenza.consent("granted"); trenza.track("early", {}, () => { window.calledBack = true }); trenza.identify("u1");
      trenza.track("late").then((receipt) => { window.receipt = receipt }); trenza.ready(() => { window.isReady = true });
      window.stubbed = trenza; window.loadedAt = Date.now()`,
  });
  await page.waitForFunction(() => window.calledBack && window.isReady && window.receipt);
  await collector.until((c) => c.stored.size === 3);
  assert.deepEqual(collector.events.map((e) => e.event ?? e.type), ["early", "identify", "late"]);
  assert.ok(Date.parse(collector.events[0].timestamp) <= await page.evaluate(() => window.loadedAt));
  assert.deepEqual(await page.evaluate(() => [window.receipt.event.event, window.stubbed === window.trenza]), ["late", true]);
});

visit("Segment's loose arguments mean what they mean there", async ({ open }, collector) => {
  const page = await open({ consent: "granted" });
  await page.evaluate(async () => {
    const a = [];
    await trenza.page("Only name");
    await trenza.page({ topic: "only properties" });
    await trenza.page("Name", { topic: "and properties" }, { context: { trenza: { touchpoint: "t1" } } }, () => a.push("called"));
    await trenza.identify({ plan: "free" });
    await trenza.identify("u9", { plan: "paid" }, { timestamp: "2020-01-02T03:04:05.678Z", messageId: "own-id" });
    await trenza.group("g1", { name: "Acme" });
    await trenza.alias("u10");
    if (a[0] !== "called") throw new Error("no callback");
  });
  await collector.until((c) => c.stored.size === 7);
  const [name, properties, both, traits, user, group, alias] = collector.events;
  assert.deepEqual([name.name, name.category], ["Only name", undefined]);
  assert.deepEqual([properties.name, properties.properties], [undefined, { topic: "only properties" }]);
  assert.deepEqual([both.name, both.context.trenza], ["Name", { channel: "web", touchpoint: "t1" }]);
  assert.deepEqual([traits.userId, traits.traits], [undefined, { plan: "free" }]);
  assert.deepEqual([user.userId, user.timestamp, user.messageId], ["u9", "2020-01-02T03:04:05.678Z", "own-id"]);
  assert.deepEqual([group.groupId, group.traits], ["g1", { name: "Acme" }]);
  assert.deepEqual([alias.userId, alias.previousId], ["u10", "u9"]);
});

visit("reset forgets the visitor; another user at the same browser is another visitor", async ({ open, url }, collector) => {
  const page = await open({ consent: "granted" });
  const anonymous = () => page.evaluate(() => trenza.user().anonymousId());
  await page.evaluate(() => trenza.identify("u1"));
  const first = await anonymous();
  await page.goto(url({ consent: "granted" }));
  await loaded(page);
  assert.deepEqual([await anonymous(), await page.evaluate(() => trenza.user().id())], [first, "u1"]);
  await page.evaluate(() => trenza.identify("u2"));
  const second = await anonymous();
  await page.evaluate(async () => { await trenza.reset(); await trenza.track("after"); });
  const third = await anonymous();
  assert.equal(new Set([first, second, third]).size, 3);
  assert.equal(await page.evaluate(() => trenza.user().id()), null);
  await collector.until((c) => c.names.includes("after"));
  const after = collector.events.find((e) => e.event === "after");
  assert.deepEqual([after.anonymousId, after.userId], [third, undefined]);
});

visit("the visitor id comes back from the cookie when localStorage was emptied", async ({ open, url }) => {
  const page = await open({ consent: "granted" });
  const first = await page.evaluate(() => trenza.user().anonymousId());
  await page.evaluate(() => localStorage.clear());
  await page.goto(url({ consent: "granted" }));
  await loaded(page);
  assert.equal(await page.evaluate(() => trenza.user().anonymousId()), first);
});

visit("on https the cookie is Secure", async ({ context, collector }) => {
  const script = await (await fetch(site.origin + "/t.js")).text();
  await context.route("https://shop.test/**", (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === "/v1/batch") return route.fulfill({ json: { success: true } });
    return pathname === "/t.js"
      ? route.fulfill({ contentType: "text/javascript", body: script })
      : route.fulfill({ contentType: "text/html", body: '<!doctype html><script async src="/t.js" data-write-key="k" data-consent="granted"></script>' });
  });
  const page = await context.newPage();
  const sent = page.waitForRequest("https://shop.test/v1/batch");
  await page.goto("https://shop.test/");
  await loaded(page);
  await page.evaluate(() => trenza.track("A"));
  assert.equal((await sent).method(), "POST");
  assert.deepEqual((await context.cookies()).map(({ name, secure }) => [name, secure]), [["trz_vid", true]]);
  assert.equal(collector.requests.length, 0);
});

visit("the npm package sends like the script tag", async ({ open, context, collector }) => {
  const code = readFileSync(new URL("../dist/index.js", import.meta.url), "utf8");
  await context.route("**/package.js", (route) => route.fulfill({ contentType: "text/javascript", body: code }));
  const page = await open({ later: "" }, undefined, false);
  await page.evaluate(async (host) => {
    const { load } = await import("/package.js");
    const trenza = load({ writeKey: "wk_npm", host, consent: "granted" });
    if (load({ writeKey: "other", host }) !== trenza) throw new Error("started twice");
    await trenza.track("A");
  }, collector.origin);
  await collector.until((c) => c.names.includes("A"));
  assert.equal(collector.requests[0].body.writeKey, "wk_npm");
});

visit("a strict page with trusted types runs it", async ({ open, said }) => {
  const page = await open({ csp: "", host: undefined, consent: "granted", n: "strict" });
  await page.evaluate(() => { trenza.page(); trenza.track("strict"); });
  await site.own.until((c) => c.events.filter((e) => e.context.page.title === "Page strict").length === 2);
  assert.deepEqual(said, []);
});

visit("nothing throws where storage, cookies, locks and randomUUID are forbidden, and events arrive", async ({ open, context }, collector) => {
  await context.addInitScript(() => {
    const forbidden = { get() { throw new DOMException("forbidden", "SecurityError"); } };
    for (const [where, what] of [[window, "localStorage"], [window, "sessionStorage"], [window, "indexedDB"],
      [Document.prototype, "cookie"], [Navigator.prototype, "locks"]]) Object.defineProperty(where, what, forbidden);
    Object.defineProperty(crypto, "randomUUID", { value: undefined });
  });
  const page = await open({});
  await page.evaluate(async () => {
    await trenza.consent("granted");
    await trenza.track("A");
    await trenza.identify("u1");
    await trenza.reset();
    trenza.user().anonymousId();
    await trenza.track("B");
    await trenza.consent("denied");
    await trenza.consent("granted");
    await trenza.track("C");
  });
  await collector.until((c) => c.names.includes("C"));
  assert.match(collector.events[0].messageId, UUID4);
});

visit("full storage keeps events in memory and leaving the page sends them", async ({ open, context }, collector) => {
  await context.addInitScript(() => { Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }; });
  const page = await open({ consent: "granted" });
  await page.evaluate(() => { trenza.track("A"); });
  await page.goto("about:blank");
  await collector.until((c) => c.names.includes("A"));
});

visit("odd calls never throw and spoil nothing", async ({ open, said }, collector) => {
  const page = await open({ consent: "granted", stub: `trenza.push("x"); trenza.push(null); trenza.push(["nope", []]); trenza.push(["track", ["odd time"], 0, "junk"])` });
  await page.evaluate(async () => {
    const circle = {};
    circle.self = circle;
    for (const method of ["page", "track", "identify", "group", "alias", "reset", "ready"]) {
      for (const odd of [undefined, null, 0, 7n, "", circle, [], Symbol("s"), () => 1]) await trenza[method](odd, odd, odd);
    }
    await trenza.consent("nonsense");
    if ((await trenza.consent()) !== "granted") throw new Error("an unknown consent changed something");
    await trenza.track("fine", { text: "\u0000\u2028\ud83d\udc69\u200d\ud83d\udcbb" });
  });
  await collector.until((c) => c.names.includes("fine"));
  assert.equal(collector.events.find((e) => e.event === "fine").properties.text, "\u0000\u2028\ud83d\udc69\u200d\ud83d\udcbb");
  assert.ok(collector.events.every((e) => Date.parse(e.timestamp) > 0));
  assert.ok(said.every((text) => text.startsWith("trenza: ")), said.join("\n"));
});

visit("no write key: nothing stored or spoilt, and the console says why", async ({ open, said }, collector) => {
  const before = await open();
  assert.deepEqual(await terminal(before), NOTHING);
  const page = await open({ nokey: "", consent: "granted" });
  await page.evaluate(async () => { await trenza.track("A"); await trenza.page(); await trenza.consent("granted"); });
  assert.deepEqual(await terminal(page), NOTHING);
  const kept = await before.evaluate(async () => { await trenza.consent("granted"); return Object.keys(localStorage).sort(); });
  await page.reload();
  await loaded(page);
  assert.deepEqual((await terminal(page)).local.sort(), kept);
  assert.equal(said.filter((text) => /no data-write-key/.test(text)).length, 2, "once a page load");
  assert.equal(collector.requests.length, 0);
});

visit("track takes at most 300 µs at the median", async ({ open }, collector) => {
  const page = await open({ consent: "granted" });
  const median = await page.evaluate(() => {
    const times = [];
    for (let i = 0; i < 300; i++) {
      const start = performance.now();
      trenza.track("T" + i, { n: i });
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[150] * 1000;
  });
  await collector.until((c) => c.stored.size === 300);
  assert.ok(median <= 300, `${median} µs`);
});
