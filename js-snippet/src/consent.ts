// The gate: what the visitor chose, and what may therefore be stored and sent.
// Only a grant is remembered; "denied" leaves nothing on the terminal, not even itself.

import { forgetCookie } from "./ids.js";
import { closeStore, get, openStore, parse, set, wipe } from "./store.js";
import type { Categories, ConsentStatus } from "./types.js";

/** Its localStorage key also tells the other tabs. */
export const CONSENT_KEY = "trz_c";

/** What a grant without categories says. */
const DEFAULT_CATEGORIES: Categories = { analytics: true };

/** A grant as it rests on the terminal. */
export interface Remembered {
  c: Categories;
  /** Granted although the browser sent Global Privacy Control. */
  g: boolean;
}

export let status: ConsentStatus = "pending";
export let categories: Categories = DEFAULT_CATEGORIES;

const privacyControl = (): boolean => !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;

/** The visitor's own choice, made now. Whatever is not a grant forgets everything. */
export function choose(next: ConsentStatus, chosen?: Categories): void {
  status = next;
  categories = chosen || DEFAULT_CATEGORIES;
  if (next == "granted") openStore();
  else {
    wipe();
    forgetCookie();
  }
}

/** Keeps a grant, which tells the other tabs; they take over what was written before. */
export const remember = (): void =>
  set(CONSENT_KEY, JSON.stringify({ c: categories, g: privacyControl() } satisfies Remembered));

/** What holds on a new page: the remembered grant, else Global Privacy Control, else what the page says. */
export function restore(fromPage: string | undefined): void {
  openStore();
  const saved = parse<Remembered>(get(CONSENT_KEY));
  if (fromPage == "denied" || (privacyControl() && !saved?.g)) choose("denied");
  else if (saved || fromPage == "granted") {
    status = "granted";
    if (saved) categories = saved.c;
  } else closeStore();
}
