// SDKs of others, as they come from npm and PyPI, against the real server and a real agent, through a relay that spoils their first
// delivery: nothing may be lost, stored twice or changed, except what an SDK itself drops.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { bin, browse, world } from "../browser/support.mjs";
import { PERILS, RELOAD, TLS, relay, straight } from "./relay.mjs";
import { site } from "./site.mjs";
import { textsIn, textsOf } from "./texts.mjs";

const PATIENCE_MS = 60_000;
const PAGES_AT_ONCE = 10;
const NODE = ["@segment/analytics-node", "@rudderstack/rudder-sdk-node", "@jitsu/js, s2s", "@snowplow/node-tracker", "posthog-node"];
const PYTHON = ["segment-analytics-python", "rudder-sdk-python", "posthog (Python)", "snowplow-tracker (Python)"];
const TEXTS = ["trait", "page", "track", "long"];

const REFUSALS = ["429", "429 with Retry-After", "503"];
const TOO_MANY = REFUSALS.slice(0, 2);

const each = (perils, names) => Object.fromEntries(perils.map((peril) => [peril, names]));

/** What an SDK itself drops, and when. */
const DROPS = {
  // Neither waits nor tries again.
  "@jitsu/js": { ...each(REFUSALS, ["trait"]), [RELOAD]: TEXTS },
  // On leaving it sends what it has with `keepalive`, and keeps nothing.
  "@segment/analytics-next, batching": { [RELOAD]: TEXTS },
  // Nobody reads what a beacon is answered.
  "@rudderstack/analytics-js, beacon": each([...REFUSALS, RELOAD], TEXTS),
  // Tries again after 5xx alone, and keeps nothing for the next page.
  "posthog-js": each([...TOO_MANY, RELOAD], TEXTS),
};

const only = process.env.TRENZA_SDK;
const here = await world({ tablets: "127.0.0.2" });
const AUTHORITY = join(here.home, "server/ca.pem");
const website = await site();
const browser = await browse();

async function exported(what) {
  const { stdout } = await promisify(execFile)(bin("trenza-server"), ["export", what, "--config", here.init.config], { maxBuffer: 1 << 30 });
  return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Which events hold which text of ours. */
async function stored() {
  const found = new Map();
  for (const event of await exported("events")) {
    for (const [, text] of textsIn(event)) {
      if (!found.has(text)) found.set(text, []);
      found.get(text).push(event);
    }
  }
  return found;
}

/** Exports again and again while somebody waits, for all of them at once. */
const watch = {
  waiting: new Set(),
  async run() {
    while (this.waiting.size) {
      const found = await stored();
      for (const one of [...this.waiting]) if (one.here(found) || Date.now() > one.end) { this.waiting.delete(one); one.done(); }
      await new Promise((again) => setTimeout(again, 300));
    }
    this.running = undefined;
  },
  until(here) {
    return new Promise((done) => {
      this.waiting.add({ here, done, end: Date.now() + PATIENCE_MS });
      this.running ??= this.run();
    });
  },
};

function due({ sdk, peril }) {
  const drops = DROPS[sdk] ?? DROPS[sdk.split(",")[0]];
  return TEXTS.filter((name) => !drops?.[peril]?.includes(name));
}
/** How often it must have delivered: what is refused and not dropped comes again. */
const least = (one) => ([...REFUSALS, RELOAD].includes(one.peril) && due(one).length === TEXTS.length ? 2 : 1);
const played = (one) => one.peril === TLS || one.way.state.deliveries >= least(one);
const arrived = (one) => watch.until((found) => played(one) && due(one).every((name) => found.has(one.texts[name])));

const cases = [];
async function casesOf(sdk, perils = [...PERILS, TLS]) {
  if (only && !sdk.includes(only)) return [];
  const own = [];
  for (const target of ["server", "agent"]) {
    for (const peril of perils) {
      const way = peril === TLS ? straight(here[target].https) : await relay(here[target].http, peril);
      const texts = textsOf(`case-${cases.length + own.length}-${sdk}`);
      own.push({ sdk, target, peril, way, url: way.url, key: here.init.write_key, texts, faults: [] });
    }
  }
  cases.push(...own);
  return own;
}

/** The programs have the authority of the certificates from their surroundings, as an administrator would set it. */
const TRUST = { NODE_EXTRA_CA_CERTS: AUTHORITY, REQUESTS_CA_BUNDLE: AUTHORITY };

async function inProgram(sdk, program, script) {
  const own = await casesOf(sdk);
  if (!own.length) return;
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(program, [path], { stdio: ["pipe", "ignore", "pipe"], env: { ...process.env, ...TRUST } });
  let said = "";
  child.stderr.on("data", (bytes) => { said += bytes; });
  const ended = new Promise((done) => child.once("exit", done));
  child.stdin.write(`${JSON.stringify({ sdk, cases: own.map(({ url, key, texts }) => ({ url, key, texts })) })}\n`);
  await Promise.all(own.map(arrived));
  child.stdin.end();
  const patience = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  await ended;
  clearTimeout(patience);
  for (const one of own) one.faults.push(...said.split("\n").filter((line) => line.includes(`${one.texts.user}:`)));
}

async function inBrowser(one) {
  const context = await browser.newContext({ ignoreHTTPSErrors: one.peril === TLS });
  context.on("weberror", (error) => one.faults.push(error.error().message));
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error") one.faults.push(message.text()); });
  const [vendor, mode] = one.sdk.split(", ");
  const query = mode === "snippet" ? `?${new URLSearchParams({ snippet: vendor, key: one.key, url: one.url })}` : "";
  const drive = (texts) => page.evaluate(([mode, how]) => window.drive(mode, how), [one.sdk, { url: one.url, key: one.key, texts }]);
  await page.goto(website.url + query);
  await drive(one.texts);
  if (one.peril === RELOAD) {
    await watch.until(() => one.way.state.deliveries > 0);
    await page.reload();
    one.way.state.healed = true;
    await drive(undefined);
  }
  await arrived(one);
  await context.close();
}

async function inBrowsers() {
  const page = await browser.newPage();
  await page.goto(website.url);
  const queue = [];
  for (const sdk of await page.evaluate(() => window.modes)) queue.push(...await casesOf(sdk, [...PERILS, RELOAD, TLS]));
  await page.close();
  const worker = async () => { for (let one = queue.shift(); one; one = queue.shift()) await inBrowser(one); };
  await Promise.all(Array.from({ length: PAGES_AT_ONCE }, worker));
}

const began = Date.now();
await Promise.all([
  ...NODE.map((sdk) => inProgram(sdk, process.execPath, "node.mjs")),
  ...PYTHON.map((sdk) => inProgram(sdk, join(process.env.TRENZA_SDKS, "venv/bin/python"), "python_sdks.py")),
]);
await inBrowsers();
const found = await stored();
const customers = await exported("customers");
const served = (path) => fetch(here.server.http + path).then((answer) => answer.text());
const scripts = new Map();
for (const path of ["/analytics.js/v1/any/analytics.min.js", "/p.js"]) scripts.set(path, await served(path));
const took = Math.round((Date.now() - began) / 1000);
await browser.close();
website.close();
for (const one of cases) await one.way.close();
await here.close();

console.log(`${cases.length} cases of ${new Set(cases.map((one) => one.sdk)).size} SDKs and modes in ${took} s`);

for (const [path, file] of [
  ["/analytics.js/v1/any/analytics.min.js", "@segment/analytics-next/dist/umd/standalone.js"],
  ["/p.js", "@jitsu/js/dist/web/p.js.txt"],
]) {
  test(`what ${path} serves is the file of the npm package`, () => {
    const own = readFileSync(join(process.env.TRENZA_SDKS, "node_modules", file), "utf8");
    assert.ok(scripts.get(path).endsWith(own), "take the package's file over into shared/src/capture/vendored");
  });
}

/** The values of one kind that a customer has. */
const values = (customer, kind) => customer.identifiers.filter((one) => one.kind === kind).map((one) => one.value);

for (const one of cases) {
  test(`${one.sdk} against the ${one.target}: ${one.peril}`, () => {
    const told = () => [...one.way.state.seen, ...one.faults].map((line) => line.slice(0, 200)).join("\n");
    for (const name of TEXTS) {
      const events = found.get(one.texts[name]) ?? [];
      const fits = due(one).includes(name) ? events.length === 1 : events.length <= 1;
      assert.ok(fits, `${name} is stored ${events.length} times\n${told()}`);
    }
    // Every event of the case is another one.
    const ids = (found.get(one.texts.user) ?? []).map((event) => event.messageId);
    assert.equal(new Set(ids).size, ids.length, `an id is stored twice\n${told()}`);
    // User and visitor of them are one customer.
    const visitors = new Set((found.get(one.texts.user) ?? []).map((event) => event.anonymousId).filter(Boolean));
    const owners = customers.filter((customer) => values(customer, "userId").includes(one.texts.user));
    assert.equal(owners.length, ids.length ? 1 : 0, `there are ${owners.length} customers\n${told()}`);
    for (const visitor of visitors) assert.ok(values(owners[0], "anonymousId").includes(visitor), `${visitor} is somebody else\n${told()}`);
    assert.deepEqual(one.way.state.answers.filter((status) => status >= 400), [], `something that it asks for is refused\n${told()}`);
    assert.ok(played(one), `only ${one.way.state.deliveries} deliveries: the peril did not happen\n${told()}`);
  });
}
