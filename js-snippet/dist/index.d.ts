import type { Options, Trenza } from "./types.js";
export type * from "./types.js";
/** Starts the snippet once; further calls give the first one back. */
export declare const load: (options: Options) => Trenza;
