// A website on an origin of its own with the browser SDKs on it.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const { build } = createRequire(join(here, "../../js-snippet/package.json"))("esbuild");
const packages = join(process.env.TRENZA_SDKS, "node_modules");

// Segment's own snippet for HTML (5.2.0), with another host in it.
const segment = (key, url) => `<script>
!function(){var i="analytics",analytics=window[i]=window[i]||[];if(!analytics.initialize)if(analytics.invoked)window.console&&console.error&&console.error("Segment snippet included twice.");else{analytics.invoked=!0;analytics.methods=["trackSubmit","trackClick","trackLink","trackForm","pageview","identify","reset","group","track","ready","alias","debug","page","screen","once","off","on","addSourceMiddleware","addIntegrationMiddleware","setAnonymousId","addDestinationMiddleware","register"];analytics.factory=function(e){return function(){if(window[i].initialized)return window[i][e].apply(window[i],arguments);var n=Array.prototype.slice.call(arguments);if(["track","screen","alias","group","page","identify"].indexOf(e)>-1){var c=document.querySelector("link[rel='canonical']");n.push({__t:"bpc",c:c&&c.getAttribute("href")||void 0,p:location.pathname,u:location.href,s:location.search,t:document.title,r:document.referrer})}n.unshift(e);analytics.push(n);return analytics}};for(var n=0;n<analytics.methods.length;n++){var key=analytics.methods[n];analytics[key]=analytics.factory(key)}analytics.load=function(key,n){var t=document.createElement("script");t.type="text/javascript";t.async=!0;t.setAttribute("data-global-segment-analytics-key",i);t.src="${url}/analytics.js/v1/" + key + "/analytics.min.js";var r=document.getElementsByTagName("script")[0];r.parentNode.insertBefore(t,r);analytics._loadOptions=n};analytics._writeKey="${key}";analytics.SNIPPET_VERSION="5.2.0";
analytics.load("${key}");}}();
</script>`;

// Jitsu's; without the page of its own that it would send first.
const jitsu = (key, url) => `<script async src="${url}/p.js" data-write-key="${key}:any" data-init-only="true"></script>`;

/** The lines that a page gets from the vendor, by the name before the comma of a mode. */
const SNIPPETS = { "@segment/analytics-next": segment, "@jitsu/js": jitsu };

/** Serves `/` and, where the query has a `snippet`, that vendor's on it. */
export async function site() {
  const bundle = await build({
    entryPoints: [join(here, "page.mjs")], bundle: true, write: false, format: "iife", platform: "browser", nodePaths: [packages], logLevel: "error",
    define: { "process.env.NODE_ENV": "\"production\"" },
  });
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://x");
    const [vendor, key, relay] = ["snippet", "key", "url"].map((name) => url.searchParams.get(name));
    if (url.pathname === "/page.js") response.writeHead(200, { "Content-Type": "text/javascript" }).end(bundle.outputFiles[0].contents);
    else if (url.pathname !== "/") response.writeHead(404).end();
    else {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
      response.end(`<!doctype html><title>Tienda</title>${vendor ? SNIPPETS[vendor](key, relay) : "<script></script>"}<script src="/page.js"></script><p>Hola`);
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => { server.closeAllConnections(); server.close(); },
  };
}
