// Who the visitor is: a random anonymousId and, after identify, the site's own userId.
// Reads and writes the first-party cookie; never a fingerprint, never traits on the terminal.

import { get, isOpen, parse, set, uncover } from "./store.js";

/** Short names, since they rest on the terminal as JSON. */
export interface Ids {
  /** anonymousId */
  a: string;
  /** userId */
  u?: string;
}

const KEY = "id";
const COOKIE = "trz_vid";
/** 400 days: what browsers allow, and for how long an anonymousId may link. */
const COOKIE_S = 34_560_000;

/** A version 4 UUID; `randomUUID` is missing on plain http. */
export function uuid(): string {
  try {
    return crypto.randomUUID();
  } catch {
    return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
      (+digit ^ (crypto.getRandomValues(new Uint8Array(1))[0]! & (15 >> (+digit / 4)))).toString(16),
    );
  }
}

/** Writes or, with `seconds` 0, deletes the cookie. */
function cookie(value: string, seconds: number): void {
  try {
    document.cookie =
      COOKIE + "=" + value + ";path=/;samesite=lax;max-age=" + seconds + (location.protocol == "https:" ? ";secure" : "");
  } catch {
    // Sandboxed frames forbid cookies; localStorage or memory has the id.
  }
}

function fromCookie(): string | undefined {
  try {
    return document.cookie.match(/(?:^|; )trz_vid=([\w-]+)/)?.[1];
  } catch {
    return undefined;
  }
}

export function saveIds(ids: Ids): Ids {
  set(KEY, JSON.stringify(ids));
  if (isOpen()) cookie(ids.a, COOKIE_S);
  return ids;
}

export const forgetCookie = (): void => cookie("", 0);

const stored = (): Ids | undefined => parse(get(KEY));

/** Read anew each time, since another tab may have changed them. */
export const ids = (): Ids => stored() || saveIds({ a: (isOpen() && fromCookie()) || uuid() });

/**
 * The store was just opened: the visitor keeps the anonymousId of an earlier visit or of another tab, unless this
 * page meanwhile identified somebody else.
 */
export function settleIds(mine: Ids): Ids {
  uncover(KEY);
  const kept = stored() || { a: fromCookie() || mine.a };
  return saveIds(mine.u && kept.u && mine.u != kept.u ? mine : { ...kept, ...(mine.u && { u: mine.u }) });
}

/** A new visitor. */
export const newIds = (): Ids => saveIds({ a: uuid() });
