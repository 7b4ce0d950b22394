// Who the visitor is: a random anonymousId and, after identify, the site's own userId.
// Reads and writes the first-party cookie; never a fingerprint, never traits on the terminal.

import { quiet } from "./quiet.js";
import { get, isOpen, parse, set, uncover } from "./store.js";

/** Short names, since they rest on the terminal as JSON. */
export type Ids = {
  /** anonymousId */
  a: string;
  /** userId */
  u?: string;
};

const KEY = "trz_id";
/** 400 days: what browsers allow, and for how long an anonymousId may link. */
const COOKIE_S = 34_560_000;

/** Who came from a linked site; counts only for a visitor who is new here. */
let linked: string | undefined;

export const linkTo = (anonymousId: string): void => {
  linked = anonymousId;
};

/** A version 4 UUID. On plain http browsers make one only as the name of a blob, which ends with the page. */
export const uuid = (): string => crypto.randomUUID?.() || URL.createObjectURL(new Blob()).slice(-36);

/** Writes or, with `seconds` 0, deletes the cookie. Sandboxed frames forbid it; localStorage or memory has the id. */
const cookie = (value: string, seconds: number): unknown =>
  quiet(
    () =>
      (document.cookie =
        "trz_vid=" +
        encodeURIComponent(value) +
        ";path=/;samesite=lax;max-age=" +
        seconds +
        (location.protocol == "https:" ? ";secure" : "")),
  );

const fromCookie = (): string | undefined =>
  isOpen() ? quiet(() => decodeURIComponent(document.cookie.match(/(?:^|; )trz_vid=([^;]+)/)![1]!)) : undefined;

export function saveIds(ids: Ids): Ids {
  set(KEY, JSON.stringify(ids));
  if (isOpen()) cookie(ids.a, COOKIE_S);
  return ids;
}

export const forgetCookie = (): unknown => cookie("", 0);

const stored = (): Ids | undefined => parse(get(KEY));

/** Read anew each time, since another tab may have changed them. */
export const ids = (): Ids => stored() || saveIds({ a: fromCookie() || linked || uuid() });

/**
 * The store was just opened: the visitor keeps the anonymousId of an earlier visit or of another tab, unless this
 * page meanwhile identified somebody else.
 */
export function settleIds(mine: Ids): Ids {
  uncover(KEY);
  const kept = stored() || { a: fromCookie() || mine.a };
  return saveIds(mine.u && kept.u && mine.u != kept.u ? mine : { ...kept, u: (mine.u || kept.u)! });
}

/** A new visitor. */
export const newIds = (): Ids => saveIds({ a: uuid() });
