import type { Event } from "./types";
/** Events kept while the server is away; the oldest go first, counted in the next event's `context.trenza.dropped`. */
export declare const QUEUE_EVENTS_MAX = 1000;
export declare const openQueue: (writeKey: string) => void;
export declare const waiting: () => string[];
export declare function read(key: string): Event | undefined;
/** Queues an event; throws only when it is not JSON. */
export declare function put(event: Event): void;
/** Rewrites what waited in memory, now that it may rest on the terminal. */
export declare function rewrite(change: (event: Event) => void): void;
/** The oldest events that fit one request, without those under way. At least one, however large. */
export declare function take(bytesMax: number, underWay: ReadonlySet<string>): string[];
