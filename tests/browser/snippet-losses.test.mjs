// In which ways an event could be lost between a visitor and the record, each played in real Chromium against the real
// server, with 5 and with 200 events: all are stored, each once, with the time at which it happened.

import { CHROMIUM } from "./snippet/browsers.mjs";
import { play } from "./snippet/scenarios.mjs";

play(CHROMIUM);
