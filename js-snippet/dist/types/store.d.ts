/** Every key on the terminal starts with it, so that wiping finds all of them. */
export declare const PREFIX = "trz_";
export declare const isOpen: () => boolean;
/** From now on keys may rest on the terminal. What waited in memory is the caller's to move. */
export declare const openStore: () => void;
/** What already rests on the terminal stays there unread. */
export declare const closeStore: () => void;
export declare function get(key: string): string | null;
export declare function set(key: string, value: string): void;
export declare function remove(key: string): void;
/** Keys that start with `start`, sorted. */
export declare function keys(start: string): string[];
/** The value dies with the page. */
export declare const inMemory: (key: string) => boolean;
/** Forgets the value in memory, so that the one on the terminal is seen. */
export declare const uncover: (key: string) => boolean;
/** Leaves nothing behind, on the terminal or in memory. */
export declare function wipe(): void;
