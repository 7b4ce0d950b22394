// From a call to an event in Segment shape. Reads the page, stores nothing.

import { categories, status } from "./consent";
import { ids, uuid } from "./ids";
import type { CallOptions, Event, Fields } from "./types";

let last = 0;
let timezone: string | undefined;

/** Milliseconds that differ for each event of a tab, so that its order survives; follows a clock set back by over 1 s. */
export function tick(now: number): number {
  return (last = now > last || last - now > 1000 ? now : last + 1);
}

/** One level deep: enough for `context.page`, `context.trenza`, `context.campaign`. */
function merge(base: Fields, extra?: Fields): Fields {
  for (const name in extra) {
    const [a, b] = [base[name], extra[name]];
    base[name] = a && b && typeof a == "object" && typeof b == "object" ? { ...a, ...b } : b;
  }
  return base;
}

export function makeEvent(type: string, fields: Fields, at: Date, options?: CallOptions | null): Event {
  const { context, ...rest } = options || {};
  const { a, u } = ids();
  timezone ||= Intl.DateTimeFormat().resolvedOptions().timeZone;
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
          url: location.href.split("#")[0],
          path: location.pathname,
          search: location.search,
          title: document.title,
          referrer: document.referrer,
        },
        locale: navigator.language,
        timezone,
        library: { name: "trenza.js", version: __VERSION__ },
        trenza: { channel: "web" },
        ...(status == "granted" && { consent: { categoryPreferences: categories } }),
      },
      context,
    ),
  };
}
