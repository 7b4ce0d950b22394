import type { Event } from "./types";
export declare function openTransport(host: string, key: string): void;
/** Sends soon: gathers calls, respects the back-off, keeps the earliest of several wishes. */
export declare function wake(delay?: number): void;
/** Another tab queued something: it sends it, unless it is gone by then. */
export declare const adopt: () => void;
/** What all events of the batch have in common stands once in the root context; the server merges it into each. */
export declare function encode(batch: Event[]): string;
