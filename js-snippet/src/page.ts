// What happens on the page without a call: addresses that change without a load, clicks and forms that name themselves,
// links to the site's other domains.

import { outbound } from "./carry.js";
import { status } from "./consent.js";
import { pageUrl } from "./event.js";
import type { Fields, Options } from "./types.js";

/** `view` runs once for each new address that is shown. Waits for the end of the task: the title follows the address. */
export function followRoutes(view: () => void): void {
  let shown = pageUrl();
  const look = () =>
    setTimeout(() => {
      if (shown != (shown = pageUrl())) view();
    });
  for (const name of ["pushState", "replaceState"] as const) {
    const real = history[name];
    history[name] = (...args) => {
      real.apply(history, args);
      look();
    };
  }
  addEventListener("popstate", look);
  addEventListener("hashchange", look);
}

/**
 * `data-track="Event"` on whatever is clicked or on a form that is sent; `data-track-topic="x"` is the property `topic`,
 * `data-track-fields="plan size"` names the fields of the form whose values are read, no other one is.
 */
export function followClicks(track: (event: string, properties: Fields) => void, hosts: Options["linkHosts"]): void {
  const act = ({ target, type }: globalThis.Event) => {
    const nearest = <T>(selector: string) => (target as Element).closest?.(selector) as T | null | undefined;
    const element = nearest<HTMLElement>("[data-track]");
    if (element && (type == "submit") == (element.tagName == "FORM")) {
      const properties: Fields = {};
      const { track: name, trackFields, ...rest } = element.dataset;
      for (const key in rest) if (/^track./.test(key)) properties[key[5]!.toLowerCase() + key.slice(6)] = rest[key];
      for (const field of trackFields?.match(/\S+/g) || []) properties[field] = new FormData(element as HTMLFormElement).get(field);
      track(name!, properties);
    }
    const link = nearest<HTMLAnchorElement>("a[href]");
    if (link && status == "granted" && hosts?.includes(link.host)) link.href = outbound(link.href);
  };
  addEventListener("click", act, true);
  addEventListener("submit", act, true);
}
