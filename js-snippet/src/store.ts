// Where bytes rest: in memory until the visitor agrees, in localStorage and IndexedDB afterwards.
// The only file that writes to the terminal, but for the cookie. It never throws: what localStorage refuses (forbidden,
// full) stays in memory, so that the rest of the snippet need not know.
//
// Why two places: localStorage is written before the call returns, so a page that is closed or crashes loses nothing, but
// it reaches the disk only seconds later; what IndexedDB has committed stays when the browser itself is killed. What either
// place has is sent; the server knows what it has already.

import { quiet } from "./quiet.js";

/** Every key starts with it, so that wiping finds all of them. The database and its only table are called the same. */
const PREFIX = "trz_";

const memory = new Map<string, string>();
let database: IDBDatabase;
let table: IDBObjectStore;
let open = false;
let forbidden = false;

export const isOpen = (): boolean => open;

/** Cookieless: nothing ever rests on the terminal, whatever the visitor chooses. */
export const forbidStore = (): void => {
  forbidden = true;
};

/** From now on keys may rest on the terminal. What waited in memory is the caller's to move. */
export const openStore = (): void => {
  open = !forbidden;
};

/** What already rests on the terminal stays there unread. */
export const closeStore = (): void => {
  open = false;
};

/** JSON as another tab or an earlier visit left it; `undefined` when it is none. */
export const parse = <T>(text: string | null | undefined): T | undefined => quiet(() => JSON.parse(text!) as T);

/** Writes to IndexedDB or, without a value, deletes there. Calls of one task share a transaction. */
function keep(key: string, value?: string | null): void {
  const write = () => (value ? table.put([key, value], key) : table.delete(key));
  if (!quiet(write))
    quiet(() => {
      table = database.transaction(PREFIX, "readwrite").objectStore(PREFIX);
      write();
    });
}

export const get = (key: string): string | null | undefined =>
  memory.get(key) ?? quiet(() => (open ? localStorage.getItem(key) : null));

export function set(key: string, value: string): void {
  memory.set(key, value);
  if (open) {
    keep(key, value);
    // Full or forbidden: memory, IndexedDB and the request on leaving the page are what is left.
    quiet(() => {
      localStorage.setItem(key, value);
      memory.delete(key);
    });
  }
}

export function remove(key: string): void {
  memory.delete(key);
  keep(key);
  quiet(() => localStorage.removeItem(key));
}

/** Keys that start with `start`, sorted. */
export const keys = (start: string): string[] =>
  [...memory.keys(), ...(quiet(() => (open ? Object.keys(localStorage) : [])) || [])]
    .filter((key) => key.startsWith(start))
    .sort();

/** The value dies with the page. */
export const inMemory = (key: string): boolean => memory.has(key);

/** Forgets the value in memory, so that the one on the terminal is seen. */
export const uncover = (key: string): boolean => memory.delete(key);

/** Brings back what IndexedDB alone has kept and gives it what rests here; runs `then` when both have the same. */
export const settleDisk = (then: () => void): unknown =>
  open &&
  quiet(() => {
    const request = indexedDB.open(PREFIX);
    request.onupgradeneeded = () => request.result.createObjectStore(PREFIX);
    request.onsuccess = () => {
      database = request.result;
      // Somebody wipes: who keeps it open would hold that up.
      database.onversionchange = () => request.result.close();
      const rows = database.transaction(PREFIX).objectStore(PREFIX).getAll();
      rows.onsuccess = () => {
        if (!open) return; // Denied meanwhile.
        for (const [key, value] of rows.result as [key: string, value: string][]) get(key) ?? set(key, value);
        for (const key of keys(PREFIX)) keep(key, get(key));
        then();
      };
    };
  });

/** Leaves nothing behind, on the terminal or in memory. */
export function wipe(): void {
  open = true;
  keys(PREFIX).forEach(remove);
  open = false;
  quiet(() => indexedDB.deleteDatabase(PREFIX));
}
