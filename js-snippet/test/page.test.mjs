// What the snippet notices by itself: addresses that change without a load, clicks, forms.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openSite } from "./support/site.mjs";

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

const views = (collector) => collector.events.filter((e) => e.type === "page");

visit("with data-auto-page each address that is shown is one view, with its own title", async ({ open }, collector) => {
  const page = await open({ consent: "granted", auto: "true", n: "home" });
  const home = page.url();
  const steps = [
    () => { history.pushState({}, "", "/guides?topic=x"); document.title = "Guides"; },
    // Frameworks say the same address again; a fragment within a page is no other page.
    () => { history.replaceState({ again: 1 }, "", "/guides?topic=x"); location.hash = "#part-2"; },
    // Only where it ends is shown.
    () => { history.pushState({}, "", "/moved"); history.replaceState({}, "", "/moved/here"); document.title = "Here"; },
    () => { location.hash = "#/inner"; },
    () => { history.back(); },
    () => { trenza.track("end"); },
  ];
  for (const [index, step] of steps.entries()) {
    await page.evaluate(step);
    if (index !== 1 && index !== 5) await collector.until((c) => views(c).length === [2, , 3, 4, 5][index], `view after step ${index}`);
  }
  await collector.until((c) => c.names.includes("end"));
  const at = new URL(home).origin;
  assert.deepEqual(views(collector).map((e) => [e.context.page.url, e.context.page.title]), [
    [home, "Page home"], [`${at}/guides?topic=x`, "Guides"], [`${at}/moved/here`, "Here"],
    [`${at}/moved/here#/inner`, "Here"], [`${at}/moved/here`, "Here"],
  ]);
});

visit("without data-auto-page no address is followed and history is the browser's own", async ({ open }, collector) => {
  const page = await open({ consent: "granted" });
  assert.ok(await page.evaluate(() => /native code/.test(history.pushState)));
  await page.evaluate(() => { history.pushState({}, "", "/other"); });
  await page.evaluate(() => { trenza.track("end"); });
  await collector.until((c) => c.names.includes("end"));
  assert.deepEqual(views(collector), []);
});

const BODY = `<div data-track="Never"><form data-track="Asked" data-track-source="footer" data-track-fields="plan  size" action="/">
  <input type="hidden" name="later" value=""><input name="plan" value="gold"><input name="size" value="2"><input name="email" value="ada@example.org">
  <b id="label">Label</b><button id="send">Send</button></form></div>
  <a id="guide" href="#guide" data-track="Guide opened" data-track-topic="renta fija" data-track-guide-id="7" data-other="x"><b>Open</b></a>`;

visit("data-track on a link and on a form: their names and named fields, nothing else", async ({ open }, collector) => {
  const page = await open({ consent: "granted", body: BODY });
  await page.evaluate(() => document.querySelector("#guide").addEventListener("click", (event) => event.stopPropagation()));
  await page.click("#guide b");
  await page.click("#send"); // leaves the page
  await collector.until((c) => c.names.includes("Asked") && c.names.includes("Guide opened"));
  const of = (name) => collector.events.filter((e) => e.event === name).map((e) => e.properties);
  assert.deepEqual(of("Guide opened"), [{ topic: "renta fija", guideId: "7" }]);
  assert.deepEqual(of("Asked"), [{ source: "footer", plan: "gold", size: "2" }]);
  assert.ok(!collector.requests.some(({ text }) => text.includes("ada@example.org")), "a field that is not named is not read");
});

visit("a click on a form is not its sending", async ({ open }, collector) => {
  const page = await open({ consent: "granted", body: BODY.replace('<div data-track="Never">', "<div>") });
  await page.click("#label");
  await page.evaluate(() => { trenza.track("end"); });
  await collector.until((c) => c.names.includes("end"));
  assert.deepEqual(collector.names, ["end"]);
});

visit("clicks before the choice wait for it", async ({ open }, collector) => {
  const page = await open({ body: BODY });
  await page.click("#guide");
  assert.equal(collector.requests.length, 0);
  await page.evaluate(() => trenza.consent("granted"));
  await collector.until((c) => c.names.includes("Guide opened"));
});
