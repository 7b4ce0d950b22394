// From a call to an event in Segment shape. Reads the page, stores nothing.

import { categories, status } from "./consent.js";
import { ids, uuid } from "./ids.js";
import type { CallOptions, Event, Fields } from "./types.js";

declare const __VERSION__: string; // set by the build from package.json

let last = 0;
let timezone: string | undefined;

/** Milliseconds that differ for each event of a page, so that order survives; follows a clock set back by over 1 s. */
export function tick(now: number): number {
  return (last = now > last || last - now > 1000 ? now : last + 1);
}

export const isObject = (value: unknown): value is Fields => Object(value) === value;

/** The address without its fragment, which may hold secrets, unless the fragment is a route (`#/`, `#!`). */
export const pageUrl = (): string => location.href.replace(/#(?![/!]).*/, "");

/** One level deep: enough for `context.page`, `context.trenza`, `context.campaign`. */
function merge(base: Fields, extra?: Fields): Fields {
  for (const name in extra) {
    const [a, b] = [base[name], extra[name] as Fields];
    base[name] = isObject(a) ? { ...a, ...b } : b;
  }
  return base;
}

export function makeEvent(type: string, fields: Fields, at: Date, options?: CallOptions | null): Event {
  const { context, ...rest } = options || {};
  const { a, u } = ids();
  return {
    messageId: uuid(),
    anonymousId: a,
    userId: u,
    timestamp: at,
    ...rest,
    type,
    ...fields,
    context: merge(
      {
        page: {
          url: pageUrl(),
          path: location.pathname,
          search: location.search,
          title: document.title,
          referrer: document.referrer,
        },
        locale: navigator.language,
        timezone: (timezone ||= Intl.DateTimeFormat().resolvedOptions().timeZone),
        library: { name: "trenza.js", version: __VERSION__ },
        trenza: { channel: "web" },
        consent: status == "granted" ? { categoryPreferences: categories } : undefined,
      },
      context,
    ),
  };
}
