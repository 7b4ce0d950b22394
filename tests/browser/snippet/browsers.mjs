// The browsers of the scenarios, in the few words that the drivers say differently.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";

import { browse, chromium, FLAGS, installed } from "../support.mjs";

/** Chromium, by Playwright. */
export const CHROMIUM = {
  /** Scenarios that are played at one time: most of them wait. */
  atOnce: 6,
  launch: browse,
  newContext: (browser) => browser.newContext(),
  /** Runs `script` in each document of the page before anything else. */
  before: (page, script, argument) => page.addInitScript(script, argument),
  offline: (context, on) => context.setOffline(on),
  /** A browser of our own that can be killed, with a profile that outlives it and a back-forward cache. */
  async own(profile) {
    const child = spawn(process.env.CHROMIUM ?? "/usr/bin/chromium",
      ["--headless", "--remote-debugging-port=0", `--user-data-dir=${profile}`, ...FLAGS, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
    const ended = new Promise((done) => child.once("exit", done));
    const address = await new Promise((done, fail) => {
      createInterface({ input: child.stderr }).on("line", (line) => line.startsWith("DevTools listening on ") && done(line.split(" ").at(-1)));
      void ended.then((code) => fail(new Error(`the browser ended with ${code}`)));
    });
    const browser = await chromium.connectOverCDP(address);
    return { context: browser.contexts()[0], kill: () => kill(child, ended) };
  },
};

const firefox = process.env.FIREFOX ?? "/usr/bin/firefox-esr";

export const FIREFOX_IS_HERE = existsSync(firefox);

const launchFirefox = (options) => installed("puppeteer-core").default.launch({ browser: "firefox", executablePath: firefox, headless: true, ...options });

/** Firefox, by WebDriver BiDi; Playwright's own needs a Firefox that was built for it. */
export const FIREFOX = {
  /** Its driver mixes up tabs that are opened at the same moment. */
  atOnce: 1,
  launch: () => launchFirefox(),
  newContext: (browser) => browser.createBrowserContext(),
  before: (page, script, argument) => page.evaluateOnNewDocument(script, argument),
  offline: async (context, on) => Promise.all((await context.pages()).map((page) => page.setOfflineMode(on))),
  async own(profile) {
    const browser = await launchFirefox({ userDataDir: profile });
    const child = browser.process();
    const ended = new Promise((done) => child.once("exit", done));
    return { context: browser.defaultBrowserContext(), kill: () => kill(child, ended) };
  },
};

/** As by kill -9 or a power cut: nobody is asked. */
async function kill(child, ended) {
  child.kill("SIGKILL");
  await ended;
}
