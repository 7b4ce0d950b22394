import type { Options, Trenza } from "./types";
/** Starts the snippet on `target`, which may be the array of calls made before it arrived. */
export declare function start({ writeKey, host, consent, autoPage }: Options, target?: object): Trenza;
