// Story I, "not again": a form half filled on a website, a code, and a kiosk without a network that goes on from there.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { browse, cable, sound, until, world } from "./support.mjs";

const EMAIL = "iria.castro@example.org";
let place, browser, link, site;

before(async () => {
  link = await cable();
  [place, browser] = await Promise.all([world({ through: link }), browse()]);
  const script = readFileSync(new URL("../../js-snippet/dist/t.js", import.meta.url), "utf8");
  const form = `<form><label>Correo <input id="email"></label><label>Nombre <input id="first"></label><label>Teléfono <input id="phone"></label></form>`;
  const html = `<!doctype html><html lang="es"><title>Guía de renta fija</title>
    <script async src="/t.js" data-write-key="${place.init.write_key}" data-host="${place.server.http}"></script>${form}`;
  site = createServer((request, response) => {
    const [kind, body] = request.url === "/t.js" ? ["text/javascript", script] : ["text/html; charset=utf-8", html];
    response.writeHead(200, { "Content-Type": kind }).end(body);
  });
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
});
after(async () => {
  await browser.close();
  site.closeAllConnections();
  site.close();
  await place.close();
  link.close();
});

const status = () => fetch(`${place.agent.http}/v1/status`).then((answer) => answer.json());
const customers = async (identifier) => (await place.api(`/v1/customers?identifier=${encodeURIComponent(identifier)}`)).customers;

test("the kiosk goes on from the website's code without a network, asks for no e-mail, and both are one customer", async () => {
  const web = await (await browser.newContext()).newPage();
  await web.goto(`http://127.0.0.1:${site.address().port}/`);
  await web.waitForFunction(() => typeof window.trenza?.user === "function");
  await web.evaluate(() => (trenza.consent("granted"), trenza.page({ topic: "renta fija" })));
  await web.fill("#email", EMAIL);
  await web.fill("#first", "Iria");
  const visitor = await web.evaluate(() => trenza.user().anonymousId());
  await until("the page view is in a record", async () => (await customers(`anonymousId:${visitor}`)).length === 1);
  const code = await web.evaluate(() => trenza.handover({ email: document.querySelector("#email").value, firstName: document.querySelector("#first").value, topic: "renta fija" }));
  assert.equal((await customers(`email:${EMAIL}`)).length, 0, "the form was never sent");

  link.pull();
  await until("the kiosk has no network", async () => (await status()).server === "down");
  const kiosk = await (await browser.newContext({ viewport: { width: 1024, height: 768 }, locale: "es-ES" })).newPage();
  await kiosk.goto(`${place.agent.http}/es/scan`);
  await kiosk.locator("#code").pressSequentially(code);
  await kiosk.keyboard.press("Enter");
  await kiosk.locator("#contact").waitFor();
  assert.equal(await kiosk.inputValue("#contact"), EMAIL, "the e-mail is there already");
  assert.equal(await kiosk.inputValue("#first_name"), "Iria");
  await kiosk.fill("#last_name", "Castro");
  await kiosk.click("button.primary");
  await kiosk.waitForURL("**/saved/**");
  assert.ok(!(await kiosk.content()).includes(EMAIL), "nothing of the visitor stays on the screen");
  assert.ok((await status()).waiting > 0, "the visit waits on the kiosk");
  assert.equal((await customers(`email:${EMAIL}`)).length, 0, "nothing of it reached the server yet");

  link.plugIn();
  const [one] = await until("the visit is in the record", async () => {
    const found = await customers(`email:${EMAIL}`);
    return found.length === 1 && found;
  });
  const [same] = await customers(`anonymousId:${visitor}`);
  assert.equal(same.id, one.id, "website and kiosk are one customer");
  assert.equal(one.traits.lastName.value, "Castro");
  const { events } = await place.api(`/v1/customers/${one.id}/timeline`);
  const channels = events.map((event) => event.channel);
  assert.ok(channels.includes("web") && events.some((event) => event.touchpoint === "Feria, puesto B"), JSON.stringify(channels));
});

test("a code that came in part is refused, says what to do and is not saved; a long one too", async () => {
  const before = await status();
  for (const [lang, broken, long] of [["es", "no ha llegado entero", "demasiado largo"], ["en", "did not come whole", "too long"]]) {
    const kiosk = await (await browser.newContext({ viewport: { width: 800, height: 1280 } })).newPage();
    const scan = async (code, says) => {
      await kiosk.goto(`${place.agent.http}/${lang}/scan`);
      await kiosk.locator("#code").focus();
      await kiosk.keyboard.insertText(code);
      await kiosk.keyboard.press("Enter");
      await kiosk.locator("#code-error", { hasText: says }).waitFor();
      assert.equal(await kiosk.inputValue("#code"), "", "free for the next try");
    };
    await scan("email=h2%40example.org&firstNa", broken);
    await scan(`email=h2%40example.org&note=${"x".repeat(2_100)}&a=web-1&x=${Date.now() + 60_000}`, long);
    await sound(kiosk);
    await kiosk.context().close();
  }
  assert.equal((await status()).head_seq, before.head_seq, "nothing was stored");
});
