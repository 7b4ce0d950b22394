// The real programs and a real Chromium for the browser tests.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:https";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** A package that the snippet's tests install. */
export const installed = createRequire(join(root, "js-snippet/package.json"));
export const { chromium } = installed("playwright-core");
/** The path of a built program. */
export const bin = (name) => join(process.env.TRENZA_BIN_DIR ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug"), name);

export const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const PATIENCE_MS = 30_000;

/** A browser without a network beyond this machine. */
export const browse = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/** Looks until it holds. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look().catch((error) => error);
    if (found && !(found instanceof Error)) return found;
    if (Date.now() > end) throw new Error(`never came true: ${what}: ${found}`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

function start(program, config, env) {
  const child = spawn(bin(program), ["run", "--config", config], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "ignore"] });
  const ready = new Promise((done, fail) => {
    createInterface({ input: child.stdout }).once("line", (line) => done(JSON.parse(line)));
    child.once("exit", (code) => fail(new Error(`${program} ended with ${code}`)));
  });
  const stop = () => new Promise((done) => {
    if (child.exitCode !== null) return done();
    child.once("exit", done);
    child.kill("SIGTERM");
  });
  return ready.then((addresses) => ({ ...addresses, stop }));
}

/** The cable between an agent and the server: `url` is what the agent calls, and it can be pulled out. */
export async function cable() {
  const open = new Set();
  let target, out = false;
  const plug = createServer((near) => {
    if (out || !target) return near.destroy();
    const far = connect(Number(target.port), target.hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.on("error", () => other.destroy()).on("close", () => (open.delete(one), other.destroy()));
      one.pipe(other);
    }
  });
  await new Promise((done) => plug.listen(0, "127.0.0.1", done));
  const pull = () => {
    out = true;
    for (const socket of open) socket.destroy();
  };
  return {
    url: `https://127.0.0.1:${plug.address().port}`,
    lead: (url) => (target = new URL(url)),
    pull,
    plugIn: () => (out = false),
    close: () => (pull(), plug.close()),
  };
}

/** A server with one agent, on free ports, in a folder that goes away; its agents call it `through` a cable where one is given, and the one
listens for `tablets` over TLS at an address of this machine where one is given. */
export async function world({ through, tablets } = {}) {
  const home = mkdtempSync(join(tmpdir(), "trenza-browser-"));
  const init = JSON.parse(execFileSync(bin("trenza-server"), ["init", "--dir", join(home, "server"), "--json"]));
  const env = Object.fromEntries(["HTTPS", "HTTP", "AGENTS", "OPS"].map((name) => [`TRENZA_LISTEN__${name}`, "127.0.0.1:0"]));
  // The addresses over which an agent may listen as somebody.
  if (tablets) env.TRENZA_TLS__LISTENER_NAMES = JSON.stringify([tablets]);
  if (through) env.TRENZA_PUBLIC__AGENTS_URL = through.url;
  const server = await start("trenza-server", init.config, env);
  through?.lead(server.agents);
  const ask = (...args) => execFileSync(bin("trenza-server"), [...args, "--config", init.config], { encoding: "utf8" });
  const invite = JSON.parse(ask("agent", "invite", "--touchpoint", "Feria, puesto B", "--json"));
  const agentDir = join(home, "agent");
  execFileSync(bin("trenza-agent"), ["enrol", "--server", server.https, "--code", invite.code, "--ca-fingerprint", invite.ca_fingerprint, "--dir", agentDir]);
  const over_tls = tablets ? { TRENZA_LISTEN__HTTPS: `${tablets}:0`, TRENZA_LISTEN__HTTPS_NAMES: JSON.stringify([tablets]) } : {};
  const agent = await start("trenza-agent", join(agentDir, "agent.toml"), { ...env_of_agent(), ...over_tls });
  const ca = readFileSync(join(agentDir, "ca.pem"));
  // Its certificate comes with the first contact.
  if (tablets) await until("the agent listens over TLS", () => answers(agent.https, ca));
  const api = (path) => fetch(server.http + path, { headers: { authorization: `Bearer ${init.api_token}` } }).then(async (answer) => {
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  });
  const capture = (batch) => fetch(`${server.http}/v1/batch?wait=resolved`, { method: "POST", body: JSON.stringify({ writeKey: init.write_key, batch }) }).then((answer) => answer.json());
  const others = [];
  /** Another agent, of a venue, that listens for its neighbours. */
  const stand = async (touchpoint, venue, env) => {
    const invited = JSON.parse(ask("agent", "invite", "--touchpoint", touchpoint, "--venue", venue, "--json"));
    const dir = join(home, `stand-${others.length}`);
    execFileSync(bin("trenza-agent"), ["enrol", "--server", server.https, "--code", invited.code, "--ca-fingerprint", invited.ca_fingerprint, "--dir", dir]);
    const one = await start("trenza-agent", join(dir, "agent.toml"), { ...env_of_agent(), TRENZA_LAN__LISTEN: "127.0.0.1:0", ...env });
    others.push(one);
    return one;
  };
  const close = async () => {
    for (const one of others) await one.stop();
    await agent.stop();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  };
  return { home, init, server, agent, stand, ask, api, capture, close, agentConfig: () => readFileSync(join(agentDir, "agent.toml"), "utf8") };
}

/** Whether somebody who trusts `ca` gets an answer. */
const answers = (url, ca) => new Promise((done, fail) => {
  get(`${url}/health`, { ca }, (answer) => done(answer.resume().statusCode === 200)).once("error", fail);
});

const env_of_agent = () => ({ TRENZA_LISTEN__HTTP: "127.0.0.1:0", TRENZA_LISTEN__OPS: "127.0.0.1:0" });

/** Fails when a page has inline code, unlabelled controls, doubled ids, no language, or text wider than the window. */
export async function sound(page) {
  const faults = await page.evaluate(() => {
    const out = [];
    const all = [...document.querySelectorAll("*")];
    if (!document.documentElement.lang) out.push("no lang");
    if (!document.querySelector("h1")) out.push("no h1");
    if (!document.querySelector("main")) out.push("no main");
    for (const element of all) {
      if (element.hasAttribute("style")) out.push(`inline style: ${element.outerHTML.slice(0, 80)}`);
      if ([...element.attributes].some((one) => one.name.startsWith("on"))) out.push(`inline handler: ${element.outerHTML.slice(0, 80)}`);
      if (element.tagName === "SCRIPT" && !element.src && element.type !== "application/json") out.push("inline script");
    }
    const ids = all.map((element) => element.id).filter(Boolean);
    for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) out.push(`id twice: ${id}`);
    for (const control of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
      if (!control.labels?.length && !control.getAttribute("aria-label") && !control.getAttribute("aria-labelledby")) out.push(`no label: ${control.outerHTML.slice(0, 80)}`);
    }
    for (const image of document.querySelectorAll("img:not([alt])")) out.push(`no alt: ${image.outerHTML.slice(0, 80)}`);
    if (document.documentElement.scrollWidth > window.innerWidth + 1) out.push(`wider than the window: ${document.documentElement.scrollWidth}`);
    return out;
  });
  if (faults.length) throw new Error(`${page.url()}: ${faults.join("; ")}`);
}
