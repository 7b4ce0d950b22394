import type { CallOptions, Event, Fields } from "./types";
/** Milliseconds that differ for each event of a tab, so that its order survives; follows a clock set back by over 1 s. */
export declare function tick(now: number): number;
export declare function makeEvent(type: string, fields: Fields, at: Date, options?: CallOptions | null): Event;
