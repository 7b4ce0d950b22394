// A website with the snippet on it, opened in real Chromium.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { Collector } from "./collector.mjs";

const SCRIPT = readFileSync(new URL("../../dist/t.js", import.meta.url));
const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The inline stub exactly as README.md shows it. */
export const STUB = README.match(/<script>(.*trenza.*)<\/script>/)[1];

export const KEY = "wk_test";

const STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'";

/** A page whose options stand in its query: `consent`, `host`, `auto`, `cookieless`, `link`, `csp`, `stub`, `nokey`, `later` (no tag), `body`. */
function html(query) {
  const attribute = (name, value) => (value === null ? "" : ` ${name}="${value}"`);
  const tag = `<script async src="/t.js"${query.has("nokey") ? "" : ` data-write-key="${KEY}"`}`
    + attribute("data-host", query.get("host")) + attribute("data-consent", query.get("consent"))
    + attribute("data-auto-page", query.get("auto"))
    + attribute("data-cookieless", query.get("cookieless")) + attribute("data-link-hosts", query.get("link")) + "></script>";
  const stub = query.has("stub") ? `<script>${STUB}</script><script>${query.get("stub")}</script>` : "";
  return `<!doctype html><title>Page ${query.get("n") ?? ""}</title>${stub}${query.has("later") ? "" : tag}<p>Hello</p>${query.get("body") ?? ""}`;
}

export async function openSite() {
  const own = new Collector(); // the same origin's /v1/batch
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://x");
    if (url.pathname === "/t.js") {
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(SCRIPT);
    } else if (url.pathname.startsWith("/v1/")) own.handle(request, response);
    else if (url.pathname === "/favicon.ico") response.writeHead(404).end();
    else {
      response.writeHead(200, {
        "Content-Type": "text/html",
        ...(url.searchParams.has("csp") && { "Content-Security-Policy": STRICT }),
      }).end(html(url.searchParams));
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    browser, own, origin,
    /** A new visitor with a collector of their own. */
    async visitor() {
      const [context, collector] = await Promise.all([browser.newContext(), new Collector().up()]);
      const said = [];
      context.on("weberror", (error) => said.push("uncaught " + error.error().message));
      const url = (options = {}) => {
        const query = new URLSearchParams({ host: collector.origin, ...options });
        for (const [name, value] of [...query]) if (value === "undefined") query.delete(name);
        return `${origin}/?${query}`;
      };
      return {
        context, collector, said, url,
        async open(options, setUp, withSnippet = true) {
          const page = await context.newPage();
          page.on("console", (message) => said.push(message.text()));
          await setUp?.(page);
          await page.goto(url(options));
          if (withSnippet) await loaded(page);
          return page;
        },
        async close() {
          await context.close();
          if (collector.server.listening) await collector.down();
        },
      };
    },
    async close() {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

export const loaded = (page) => page.waitForFunction(() => typeof window.trenza?.user === "function");

/** Everything the snippet could have left on the terminal. */
export const terminal = (page) => page.evaluate(async () => ({
  local: Object.keys(localStorage), session: Object.keys(sessionStorage), cookie: document.cookie,
  databases: (await indexedDB.databases()).length,
}));

export const NOTHING = { local: [], session: [], cookie: "", databases: 0 };

/** What is left once the browser has carried out the removal of the database. */
export const afterRemoval = async (page) => {
  await page.waitForFunction(async () => !(await indexedDB.databases()).length);
  return terminal(page);
};

/** Events of this site that still wait on the terminal. */
export const waiting = (page) => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("trz_q")).length);

export const drained = (page) => page.waitForFunction(() => !Object.keys(localStorage).some((key) => key.startsWith("trz_q")));
