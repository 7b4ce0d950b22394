// In which ways an event could be lost between a visitor and the record, each played in real Chromium against the real
// server, with 5 and with 200 events: all are stored, each once, with the time at which it happened.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { denied, grantedLate } from "./snippet/consent.mjs";
import {
  backForwardCache, browserKilled, fourTabs, rendererCrash, storageForbidden, storageFull, wrongClock,
} from "./snippet/devices.mjs";
import {
  downFromTheStart, nextPage, offlineClosed, offlineForAWhile, refusedClosed, tabClosed, unavailableClosed,
} from "./snippet/leaving.mjs";
import {
  LONG, lostAnswers, poison, refusedForTenMinutes, tooLarge, toldToWait, unavailableForTenMinutes,
} from "./snippet/outages.mjs";
import { openShop } from "./snippet/shop.mjs";

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
  ["20", "consent denied: nothing stored, nothing sent, no cookie", denied, 0],
  ["21", "answer lost on its way back", lostAnswers],
];

/** Scenarios that are played at one time: most of them wait. */
const AT_ONCE = 4;

describe("losses", { concurrency: AT_ONCE }, () => {
  let shop;
  before(async () => { shop = await openShop(); });
  after(() => shop.close());

  test("the server serves this snippet", () => {
    assert.equal(shop.script.served, shop.script.ours, "build the programs again: they embed js-snippet/dist/t.js");
  });

  for (const [number, name, play, share = 1] of SCENARIOS) {
    for (const n of [5, 200]) {
      test(`${number}. ${name} (${n} events)`, { timeout: LONG ? 900_000 : 120_000 }, async () => {
        const visitor = await shop.visitor(`${number}/${n}`);
        try {
          await play(visitor, n);
          if (share) await visitor.everythingOnce(n);
        } finally {
          await visitor.close();
        }
      });
    }
  }
});
