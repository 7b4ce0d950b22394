// What a visitor takes along to another place: to a listed site in a link, to a kiosk in a code.
// Plain text that nobody signs: whoever takes it in decides what it is good for, and it ends soon.

import { ids, linkTo } from "./ids.js";
import { quiet } from "./quiet.js";
import type { Options } from "./types.js";

/** Parameter of a link to a listed site. */
const PARAMETER = "trz";
/** How long a link holds: longer than any click takes, too short to be passed on. Unit: ms. */
const LINK_MS = 120_000;
/** How long a code for the kiosk holds unless the page says otherwise. Unit: ms. */
const HANDOVER_MS = 900_000;

/**
 * `application/x-www-form-urlencoded`: `a` the anonymousId, `u` the userId if there is one, `x` the end in
 * milliseconds since 1970, and the page's own fields.
 */
export const handover = (fields?: Record<string, string>, ms: number = HANDOVER_MS): string =>
  "" + new URLSearchParams({ ...fields, ...ids(), x: "" + (Date.now() + ms) });

/** The address with the visitor in it: the end in milliseconds since 1970 (13 digits until 2286), a dot, the anonymousId. */
export function outbound(href: string): string {
  const url = new URL(href);
  url.searchParams.set(PARAMETER, Date.now() + LINK_MS + "." + ids().a);
  return url.href;
}

/** Takes the visitor out of the page's address, where a listed site put it less than two minutes ago. */
export const inbound = (hosts: Options["linkHosts"]): void =>
  void quiet(() => {
    const url = new URL(location.href);
    const text = url.searchParams.get(PARAMETER);
    if (!text) return;
    url.searchParams.delete(PARAMETER);
    history.replaceState(history.state, "", url);
    const left = parseInt(text) - Date.now();
    if (left > 0 && left <= LINK_MS && hosts?.includes(new URL(document.referrer).host)) linkTo(text.slice(14));
  });
