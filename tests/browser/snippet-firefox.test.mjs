// The same in Firefox ESR, where it is installed.

import { test } from "node:test";

import { FIREFOX, FIREFOX_IS_HERE } from "./snippet/browsers.mjs";
import { LONG } from "./snippet/outages.mjs";
import { play } from "./snippet/scenarios.mjs";

/** A crash of the renderer, a quota and a clock that is put forward are beyond this driver. */
const BEYOND = ["12", "14a", "19"];
/** A long wait, of which Chromium's is enough for every day. */
const WAITS = ["4"];

if (FIREFOX_IS_HERE && LONG) play(FIREFOX, BEYOND);
else if (FIREFOX_IS_HERE) play(FIREFOX, [...BEYOND, ...WAITS], [200]);
else test("Firefox is not installed (apt-get install firefox-esr, or FIREFOX=path)", { skip: true });
