// Who the visitor is, elsewhere: on the site's other hosts, at a kiosk, without cookies, under an id the site knows.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { drained, loaded, NOTHING, openSite, terminal } from "./support/site.mjs";

let site, here, there;
before(async () => {
  site = await openSite();
  here = new URL(site.origin).host;
  there = here.replace("127.0.0.1", "localhost");
});
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

const anonymous = (page) => page.evaluate(() => trenza.user().anonymousId());
const GRANTED = { consent: "granted" };

/** A page here with a link to a page there, which lists `from`. */
async function withLink({ open, url }, { consent = "granted", from = here, listed = there } = {}) {
  const target = url({ consent, link: from, n: "there" }).replace(here, there);
  const page = await open({ ...GRANTED, link: `other.example ${listed}`, body: `<a id="go" href="${target.replaceAll("&", "&amp;")}">Go</a>` });
  return { page, target };
}

visit("a link to a listed host takes the visitor along and leaves no trace in the address", async (visitor) => {
  const { page, target } = await withLink(visitor);
  await page.evaluate(() => trenza.identify("not for an address"));
  const id = await anonymous(page);
  const asked = page.waitForRequest((request) => request.url().startsWith(target));
  await page.click("#go");
  assert.match(new URL((await asked).url()).searchParams.get("trz"), new RegExp(`^\\d{13}\\.${id}$`));
  await page.waitForURL(target);
  await loaded(page);
  assert.equal(await anonymous(page), id);
  assert.deepEqual((await visitor.context.cookies(page.url())).map(({ name, value }) => [name, value]), [["trz_vid", id]]);
});

visit("before the choice there the visitor is only remembered in memory", async (visitor, collector) => {
  const { page, target } = await withLink(visitor, { consent: "pending" });
  const id = await anonymous(page);
  await page.click("#go");
  await page.waitForURL(target);
  await loaded(page);
  assert.deepEqual(await terminal(page), NOTHING);
  await page.evaluate(() => { trenza.consent("granted"); trenza.track("there"); });
  await collector.until((c) => c.names.includes("there"));
  assert.equal(collector.events.find((e) => e.event === "there").anonymousId, id);
});

visit("who is known there stays who they are", async (visitor) => {
  const { page, target } = await withLink(visitor);
  const before = await visitor.context.newPage();
  await before.goto(target);
  await loaded(before);
  const known = await anonymous(before);
  await page.click("#go");
  await page.waitForURL(target);
  await loaded(page);
  assert.equal(await anonymous(page), known);
});

for (const [what, options] of [
  ["a host that is not listed gets no visitor", { listed: "elsewhere.example" }],
  ["a visitor from a host that is not listed is not taken", { from: "elsewhere.example" }],
]) {
  visit(what, async (visitor) => {
    const { page, target } = await withLink(visitor, options);
    const id = await anonymous(page);
    await page.click("#go");
    await page.waitForURL(target);
    await loaded(page);
    assert.notEqual(await anonymous(page), id);
  });
}

visit("a link holds for two minutes, and none is believed that says more", async (visitor) => {
  const { page, target } = await withLink(visitor);
  const ends = (s) => `${target}&trz=${Date.now() + s * 1000}.passed-on`;
  for (const [s, taken] of [[-1, false], [200, false], [60, true]]) {
    const context = await visitor.context.browser().newContext();
    const there = await context.newPage();
    await there.goto(ends(s), { referer: site.origin });
    await loaded(there);
    assert.equal((await anonymous(there)) === "passed-on", taken, `${s} s`);
    assert.ok(!there.url().includes("trz="));
    await context.close();
  }
  const other = await visitor.context.newPage();
  await other.goto(ends(60)); // pasted: nobody referred
  await loaded(other);
  assert.notEqual(await anonymous(other), "passed-on");
  await page.close();
});

visit("handover carries the visitor and the page's fields for a time", async ({ open }) => {
  const page = await open({ ...GRANTED, link: there });
  await page.evaluate(() => trenza.identify("u 1/ñ"));
  const code = Object.fromEntries(new URLSearchParams(await page.evaluate(() => trenza.handover({ email: "ada+1@example.org", a: "not this" }, 60_000))));
  const { x, ...rest } = code;
  assert.deepEqual(rest, { email: "ada+1@example.org", a: await anonymous(page), u: "u 1/ñ" });
  assert.ok(Math.abs(x - Date.now() - 60_000) < 10_000);
  const plain = new URLSearchParams(await page.evaluate(() => trenza.handover()));
  assert.ok(Math.abs(plain.get("x") - Date.now() - 900_000) < 10_000);
});

visit("cookieless: events arrive and nothing rests on the terminal, also while the server is away", async ({ open, context, url }, collector) => {
  const options = { ...GRANTED, cookieless: "true" };
  const page = await open(options);
  collector.behave = () => ({ status: 500 });
  await page.evaluate(() => { trenza.identify("u1"); trenza.track("kept in memory"); });
  await collector.until((c) => c.requests.length === 1);
  assert.deepEqual(await terminal(page), NOTHING);
  collector.behave = () => undefined;
  await page.goto(url({ ...options, n: 2 }));
  await loaded(page);
  await collector.until((c) => c.names.includes("kept in memory"));
  await page.evaluate(() => { trenza.track("second page"); });
  await collector.until((c) => c.names.includes("second page"));
  assert.deepEqual([await terminal(page), await context.cookies()], [NOTHING, []]);
  const [first, second] = ["kept in memory", "second page"].map((name) => collector.events.find((e) => e.event === name));
  assert.notEqual(first.anonymousId, second.anonymousId);
  assert.deepEqual([first.userId, second.userId], ["u1", undefined]);
});

visit("cookieless waits for the choice too, and keeps the visitor through it", async ({ open }, collector) => {
  const page = await open({ cookieless: "true" });
  await page.evaluate(() => { trenza.track("before"); });
  assert.equal(collector.requests.length, 0);
  await page.evaluate(() => { trenza.consent("granted", { analytics: true }); trenza.track("after"); });
  await collector.until((c) => c.stored.size === 2);
  assert.equal(new Set(collector.events.map((e) => e.anonymousId)).size, 1);
  assert.deepEqual(await terminal(page), NOTHING);
});

visit("setAnonymousId: an id of the site's own, whatever its letters, comes back from the cookie", async ({ open, url }, collector) => {
  const page = await open(GRANTED);
  const own = "año;=1, 2%\u{1f642}";
  await page.evaluate((own) => { trenza.identify("u1"); trenza.setAnonymousId(own); trenza.setAnonymousId(); trenza.track("A"); }, own);
  await collector.until((c) => c.names.includes("A"));
  const { anonymousId, userId } = collector.events.find((e) => e.event === "A");
  assert.deepEqual([anonymousId, userId], [own, "u1"]);
  await drained(page);
  await page.evaluate(() => localStorage.clear());
  await page.goto(url(GRANTED));
  await loaded(page);
  assert.equal(await anonymous(page), own);
});
