import type { Options, Trenza } from "./types";
export type * from "./types";
/** Starts the snippet once; further calls give the first one back. */
export declare const load: (options: Options) => Trenza;
