// The ways in which an event could be lost, and how they are played.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { denied, grantedLate } from "./consent.mjs";
import {
  backForwardCache, browserKilled, fourTabs, rendererCrash, storageForbidden, storageFull, wrongClock,
} from "./devices.mjs";
import {
  downFromTheStart, nextPage, offlineClosed, offlineForAWhile, refusedClosed, tabClosed, unavailableClosed,
} from "./leaving.mjs";
import {
  LONG, lostAnswers, poison, refusedForTenMinutes, tooLarge, toldToWait, unavailableForTenMinutes,
} from "./outages.mjs";
import { openShop } from "./shop.mjs";

/** Number, what happens, how it is played, whether events are stored at the end. */
const SCENARIOS = [
  ["1", "next page right after track()", nextPage],
  ["2", "tab closed right after track()", tabClosed],
  ["3", "offline, tab closed, next visit", offlineClosed],
  ["4", "offline for 20 s, page open", offlineForAWhile],
  ["5", "connection refused, tab closed, next visit", refusedClosed],
  ["6", "503, tab closed, next visit", unavailableClosed],
  ["7", "server down from page load", downFromTheStart],
  ["8", "refused for ten minutes, page open: all within 60 s of recovery", refusedForTenMinutes],
  ["9", "503 for ten minutes: at most 12 requests a minute", unavailableForTenMinutes],
  ["10", "429 with Retry-After: none earlier, also after a reload", toldToWait],
  ["11", "browser killed 100 ms after track()", browserKilled],
  ["12", "renderer crash", rendererCrash],
  ["13", "four tabs: one flusher, with hand-over", fourTabs],
  ["14a", "storage full: memory, and what is sent on leaving", storageFull],
  ["14b", "storage forbidden: memory, and what is sent on leaving", storageForbidden],
  ["15", "one poison event in a batch", poison],
  ["16", "413: split", tooLarge],
  ["17", "back from the back-forward cache", backForwardCache],
  ["18", "device clock wrong by three days, then mended", wrongClock],
  ["19", "consent pending for ten minutes, then granted", grantedLate],
  ["20", "consent denied: nothing stored, nothing sent, no cookie", denied, false],
  ["21", "answer lost on its way back", lostAnswers],
];

/** Plays all but those `leftOut`, each with these numbers of events. */
export function play(kind, leftOut = [], counts = [5, 200]) {
  describe("losses", { concurrency: kind.atOnce }, () => {
    let shop;
    before(async () => { shop = await openShop(kind); });
    after(() => shop.close());

    test("the server serves this snippet", () => {
      assert.equal(shop.script.served, shop.script.ours, "build the programs again: they embed js-snippet/dist/t.js");
    });

    for (const [number, name, scenario, stored = true] of SCENARIOS.filter(([number]) => !leftOut.includes(number))) {
      for (const n of counts) {
        test(`${number}. ${name} (${n} events)`, { timeout: LONG ? 900_000 : 120_000 }, async () => {
          const visitor = await shop.visitor(`${number}/${n}`);
          try {
            await scenario(visitor, n);
            if (stored) await visitor.everythingOnce(n);
          } finally {
            await visitor.close();
          }
        });
      }
    }
  });
}
