// One pasted line on a website, against the real server.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { browse, until, world } from "./support.mjs";

let place, browser, site;

before(async () => {
  [place, browser] = await Promise.all([world(), browse()]);
  const page = `<!doctype html><html lang="es"><title>Sitio</title><script async src="${place.server.http}/t.js" data-write-key="${place.init.write_key}"></script><h1>Sitio</h1></html>`;
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(page);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  site = { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
});
after(async () => {
  await browser.close();
  site.close();
  await place.close();
});

const stored = () => place.ask("export", "events").split("\n").filter(Boolean).map((line) => JSON.parse(line));

test("nothing is sent before the choice; after it every event is stored exactly once, over reloads", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => typeof window.trenza?.user === "function");
  await page.evaluate(() => {
    window.trenza.page("Portada", { topic: "renta fija" });
    window.trenza.track("Pending", { n: 1 });
  });
  assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length]), ["", 0]);
  assert.equal(stored().length, 0);
  await page.evaluate(() => window.trenza.consent("granted"));
  await page.evaluate(() => window.trenza.identify("u-9", { email: "web@example.org" }));
  for (let turn = 0; turn < 5; turn += 1) {
    await page.evaluate((turn) => { window.trenza.track("Turn", { turn }); }, turn);
    await page.reload();
    await page.waitForFunction(() => typeof window.trenza?.user === "function");
  }
  const events = await until("everything arrived", async () => stored().length >= 8 && stored());
  assert.deepEqual(events.filter((event) => event.event === "Turn").map((event) => event.properties.turn).sort(), [0, 1, 2, 3, 4]);
  assert.equal(new Set(events.map((event) => event.messageId)).size, events.length);
  const [record] = await until("one record", async () => {
    const { customers } = await place.api("/v1/customers?identifier=email:web@example.org");
    return customers.length === 1 && customers[0].counters.events === events.length && customers;
  });
  assert.equal(record.interests[0].topic, "renta fija");
  await context.close();
});

test("an event tracked while the server was away arrives with the next visit", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => typeof window.trenza?.user === "function");
  await page.evaluate(() => window.trenza.consent("granted"));
  await context.route("**/v1/**", (route) => route.abort());
  await page.evaluate(() => { window.trenza.track("Away"); });
  await page.close();
  await context.unroute("**/v1/**");
  const next = await context.newPage();
  await next.goto(site.url);
  await until("the event arrived", async () => stored().filter((event) => event.event === "Away").length === 1);
  await context.close();
});
