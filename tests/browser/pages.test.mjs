// The server's pages and the kiosk's, as people use them: both languages, both sizes, without JavaScript.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { browse, sound, until, world } from "./support.mjs";

const SIZES = { desktop: { width: 1280, height: 800 }, kiosk: { width: 1024, height: 768 } };
const shots = process.env.SHOTS;
let place, browser;

before(async () => {
  [place, browser] = await Promise.all([world(), browse()]);
  const at = (minute) => `2026-03-14T10:${String(minute).padStart(2, "0")}:00Z`;
  const answer = await place.capture([
    { type: "page", messageId: "b-1", anonymousId: "visitor-1", timestamp: at(1), name: "Renta fija", properties: { topic: "renta fija" }, context: { trenza: { channel: "web" } } },
    { type: "identify", messageId: "b-2", anonymousId: "visitor-1", timestamp: at(2), traits: { email: "begona.munoz@example.org" } },
    { type: "track", messageId: "b-3", event: "Badge Registered", anonymousId: "visit-2", timestamp: at(3),
      context: { traits: { badgeId: "B-77", email: "begona.munoz@example.org", phone: "612 345 678", firstName: "Begoña", lastName: "Muñoz", secondLastName: "Ibáñez" }, trenza: { channel: "event", touchpoint: "Feria, puesto B" } } },
  ]);
  assert.equal(answer.resolved, true);
});
after(async () => {
  await browser.close();
  await place.close();
});

async function look(page, name) {
  await sound(page);
  if (shots) {
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: join(shots, `${name}.png`) });
  }
}

async function signedIn(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(`${place.server.http}/es/sign-in`);
  await page.fill("#user", place.init.admin_user);
  await page.fill("#password", place.init.admin_password);
  await page.click("form button[type=submit]");
  return page;
}

for (const [size, viewport] of Object.entries(SIZES)) {
  test(`a person finds a record and asks why, at ${size} size, without JavaScript`, async () => {
    const page = await signedIn({ viewport, javaScriptEnabled: true });
    await look(page, `${size}-home`);
    await page.goto(`${place.server.http}/es/find?q=muno`);
    await look(page, `${size}-find`);
    await page.click("text=Begoña");
    await look(page, `${size}-record`);
    const text = await page.textContent("main");
    for (const part of ["Begoña", "begona.munoz@example.org", "B77", "renta fija", "Feria, puesto B"]) assert.ok(text.includes(part), part);
    const id = page.url().match(/c_[0-9a-f]{32}/)[0];
    await page.click("text=¿Por qué una sola?");
    await look(page, `${size}-why-form`);
    const choose = async (name, part) => {
      const options = await page.locator(`select[name=${name}] option`).allTextContents();
      await page.selectOption(`select[name=${name}]`, { label: options.find((text) => text.includes(part)) });
    };
    await choose("from", "visitor-1");
    await choose("to", "B77");
    await page.click("main form button[type=submit]");
    await look(page, `${size}-why`);
    assert.ok((await page.textContent("main")).includes("begona.munoz@example.org"));
    for (const [name, path] of Object.entries({ fleet: "fleet", invite: "fleet/invite", steps: "first-steps", sources: "sources", decisions: "decisions", review: "review", rules: "rules", accounts: "accounts" })) {
      await page.goto(`${place.server.http}/es/${path}`);
      await look(page, `${size}-${name}-es`);
      await page.goto(`${place.server.http}/en/${path}`);
      await look(page, `${size}-${name}-en`);
    }
    await page.goto(`${place.server.http}/en/customers/${id}`);
    await look(page, `${size}-record-en`);
    await page.goto(`${place.server.http}/es/customers/c_00000000000000000000000000000000`);
    await look(page, `${size}-missing`);
    await page.context().close();
  });
}

for (const width of [1280, 800]) {
  test(`who decides in a company is said by keyboard alone, ${width} px wide`, async () => {
    const page = await signedIn({ viewport: { width, height: 800 }, javaScriptEnabled: true });
    await page.goto(`${place.server.http}/es/accounts`);
    await look(page, `accounts-${width}`);
    const tab = async (id) => {
      for (let n = 0; n < 20; n += 1) {
        if (await page.evaluate(() => document.activeElement?.id) === id) return;
        await page.keyboard.press("Tab");
      }
      assert.fail(`the keyboard does not reach ${id}`);
    };
    await page.focus("#name");
    await page.keyboard.type(`Talleres ${width}`);
    await tab("person");
    await page.keyboard.type("nobody@example.org");
    await page.keyboard.press("Enter");
    await page.waitForSelector("[role=alert]");
    assert.ok((await page.textContent("[role=alert]")).includes("Nadie tiene ese dato"));
    await look(page, `accounts-wrong-${width}`);
    assert.equal(await page.inputValue("#name"), `Talleres ${width}`, "what was typed is kept");
    await page.fill("#person", "");
    await page.focus("#person");
    await page.keyboard.type("612 345 678");
    await tab("role");
    await page.keyboard.type("Gerente");
    await tab("decides");
    await page.keyboard.press("Space");
    await tab("weight");
    await page.keyboard.press("Enter");
    await page.waitForURL(/accounts\/acc_/);
    const text = await page.textContent("main");
    for (const part of [`Talleres ${width}`, "Begoña Muñoz Ibáñez", "Gerente", "Decide", "Guardado, a su nombre"]) assert.ok(text.includes(part), part);
    assert.ok(!text.includes("Sin decisor conocido"));
    // The picture and the table say the same.
    const drawn = await page.locator("svg.graph text").allTextContents();
    assert.ok(drawn.includes("Begoña Muñoz Ibáñez") && drawn.some((line) => line.includes("Decide")), drawn.join());
    await look(page, `account-${width}`);
    await page.goto(page.url().replace("/es/", "/en/"));
    await look(page, `account-en-${width}`);
    await page.click("a.row");
    await page.waitForURL(/customers/);
    assert.ok((await page.textContent("main")).includes(`Talleres ${width}`));
    await look(page, `record-belongs-${width}`);
    await page.context().close();
  });
}

test("pages work with JavaScript switched off and the session is asked for", async () => {
  const page = await signedIn({ viewport: SIZES.desktop, javaScriptEnabled: false });
  await page.goto(`${place.server.http}/es/find?q=begona`);
  assert.ok((await page.textContent("main")).includes("Begoña"));
  for (const spelling of ["612 345 678", "+34 612 34 56 78", "b-77", "BEGONA.MUNOZ@example.org"]) {
    await page.goto(`${place.server.http}/es/find?q=${encodeURIComponent(spelling)}`);
    assert.ok((await page.textContent("main")).includes("Begoña"), `found by ${spelling}`);
    const { customers } = await place.api(`/v1/customers?q=${encodeURIComponent(spelling)}`);
    assert.equal(customers.length, 1, `the API finds ${spelling} too`);
  }
  await page.context().close();
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(`${place.server.http}/es/find?q=begona`);
  assert.ok(!(await stranger.content()).includes("Begoña"), "nothing without signing in");
  await stranger.context().close();
});

test("the kiosk takes a scan and a quick entry, says what is wrong, and needs no script", async () => {
  const context = await browser.newContext({ viewport: SIZES.kiosk, locale: "es-ES", javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(place.agent.http);
  await page.waitForURL("**/es/");
  const overflow = await (async () => {
    const box = await page.locator("html").boundingBox();
    return box.height;
  })();
  assert.ok(overflow <= SIZES.kiosk.height, `the home page fits the kiosk: ${overflow}`);
  if (shots) await page.screenshot({ path: join(shots, "kiosk-home.png") });
  await page.click("text=Escanear");
  await page.locator("#code").pressSequentially("B-77");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/saved/**");
  if (shots) await page.screenshot({ path: join(shots, "kiosk-saved.png") });
  await page.goto(`${place.agent.http}/es/quick`);
  if (shots) await page.screenshot({ path: join(shots, "kiosk-quick.png") });
  await page.fill("#contact", "12345678A");
  await page.click("button.primary");
  assert.match(await page.textContent("main"), /12345678Z/, "the right letter is proposed");
  if (shots) await page.screenshot({ path: join(shots, "kiosk-wrong-letter.png") });
  await page.fill("#contact", "visita@example.org");
  await page.fill("#first_name", "Íñigo");
  await page.click("button.primary");
  await page.waitForURL("**/saved/**");
  assert.ok(!(await page.content()).includes("visita@example.org"), "nothing of the visitor is shown afterwards");
  const found = await until("the visit is in a record", async () => {
    const found = await place.api("/v1/customers?identifier=email:visita@example.org");
    return found.customers.length === 1 && found;
  });
  assert.equal(found.customers[0].traits.firstName.value, "Íñigo");
  await until("the scan joined the badge's record", async () => {
    const [record] = (await place.api("/v1/customers?identifier=badgeId:B-77")).customers;
    return record.counters.events >= 4;
  });
  await page.goto(`${place.agent.http}/en/`);
  await context.close();
  const scripted = await browser.newContext({ viewport: SIZES.desktop });
  const english = await scripted.newPage();
  for (const path of ["", "scan", "quick", "outbox"]) {
    await english.goto(`${place.agent.http}/en/${path}`);
    await look(english, `kiosk-en-${path || "home"}`);
  }
  await scripted.close();
});

test("the kiosks of a venue show each other's visits, in both sizes", async () => {
  const bar = await place.stand("Barra de degustación del pabellón norte", "Feria Norte", {});
  const door = await place.stand("Puerta", "Feria Norte", { TRENZA_LAN__PEERS: JSON.stringify([bar.lan]) });
  const context = await browser.newContext({ locale: "es-ES" });
  const page = await context.newPage();
  await page.goto(`${bar.http}/es/quick`);
  await page.click("button.primary");
  await page.waitForURL("**/saved/**");
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    await until("the door shows the bar's visit", async () => {
      await page.goto(`${door.http}/es/`);
      const text = await page.textContent("section.venue");
      return text.includes("1 visita hoy") && text.includes("conectado · 1");
    });
    await look(page, `kiosk-venue-${size}`);
    const { height } = await page.locator("html").boundingBox();
    assert.ok(height <= viewport.height, `the home page fits: ${height}`);
  }
  await bar.stop();
  await until("the door says that the bar is not heard", async () => {
    await page.goto(`${door.http}/en/`);
    const text = await page.textContent("section.venue");
    return text.includes("not heard · 1") && text.includes("No other device of the venue is in sight");
  });
  await look(page, "kiosk-venue-alone");
  await context.close();
});
