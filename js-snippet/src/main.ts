// The script tag: reads its own `data-*` attributes and becomes the global `trenza`.

import { start } from "./snippet.js";
import type { Trenza } from "./types.js";

const page = window as unknown as { trenza?: Partial<Trenza> | unknown[] };

// A second tag on the page changes nothing.
if (!(page.trenza as Partial<Trenza> | undefined)?.user) {
  const script = document.currentScript as HTMLScriptElement | null;
  const { writeKey = "", host, consent, autoPage, cookieless, linkHosts } = script?.dataset || {};
  page.trenza = start(
    {
      writeKey,
      host: host || new URL(script?.src || location.href).origin,
      consent,
      autoPage: autoPage == "true",
      cookieless: cookieless == "true",
      linkHosts: linkHosts?.match(/\S+/g),
    },
    page.trenza || [],
  );
}
