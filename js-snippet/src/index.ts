// The npm package: the same snippet, started by a call instead of a script tag.

import { start } from "./snippet.js";
import type { Options, Trenza } from "./types.js";

export type * from "./types.js";

let instance: Trenza | undefined;

/** Starts the snippet once; further calls give the first one back. */
export const load = (options: Options): Trenza => (instance ||= start(options));
