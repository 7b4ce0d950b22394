// Where bytes rest: in memory until the visitor agrees, in localStorage afterwards.
// The only file that writes to localStorage. It never throws: what localStorage refuses (forbidden, full)
// stays in memory, so that the rest of the snippet need not know.

/** Every key on the terminal starts with it, so that wiping finds all of them. */
export const PREFIX = "trz_";

const memory = new Map<string, string>();
let open = false;

export const isOpen = (): boolean => open;

/** From now on keys may rest on the terminal. What waited in memory is the caller's to move. */
export const openStore = (): void => {
  open = true;
};

/** What already rests on the terminal stays there unread. */
export const closeStore = (): void => {
  open = false;
};

/** JSON as another tab or an earlier visit left it; `undefined` when it is none. */
export function parse<T>(text: string | null): T | undefined {
  try {
    return JSON.parse(text || "") as T;
  } catch {
    return undefined;
  }
}

export function get(key: string): string | null {
  try {
    return memory.get(key) ?? (open ? localStorage.getItem(PREFIX + key) : null);
  } catch {
    return null;
  }
}

export function set(key: string, value: string): void {
  try {
    if (open) {
      localStorage.setItem(PREFIX + key, value);
      memory.delete(key);
      return;
    }
  } catch {
    // Full or forbidden: memory and the request on leaving the page are what is left.
  }
  memory.set(key, value);
}

export function remove(key: string): void {
  memory.delete(key);
  try {
    localStorage.removeItem(PREFIX + key);
  } catch {
    // Forbidden: then it was never there.
  }
}

/** Keys that start with `start`, sorted. */
export function keys(start: string): string[] {
  const found = new Set(memory.keys());
  try {
    if (open) for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) found.add(key.slice(PREFIX.length));
  } catch {
    // Forbidden: memory is all there is.
  }
  return [...found].filter((key) => key.startsWith(start)).sort();
}

/** The value dies with the page. */
export const inMemory = (key: string): boolean => memory.has(key);

/** Forgets the value in memory, so that the one on the terminal is seen. */
export const uncover = (key: string): boolean => memory.delete(key);

/** Leaves nothing behind, on the terminal or in memory. */
export function wipe(): void {
  openStore();
  keys("").forEach(remove);
  closeStore();
}
