// Scenarios in which the server is away, or says no, while the page stays open.

import assert from "node:assert/strict";

import { drained, loaded, outage } from "./shop.mjs";

/** Ten minutes with SNIPPET_LONG=1; else so long that the pauses have grown well beyond a second. */
export const LONG = process.env.SNIPPET_LONG === "1";
const OUTAGE_MS = LONG ? 600_000 : 15_000;
const MINUTE_MS = 60_000;
const REQUESTS_A_MINUTE_MAX = 12;
const RETRY_AFTER_S = 4;

export async function refusedForTenMinutes(visitor, n) {
  const page = await visitor.open();
  await visitor.relay.down();
  await visitor.track(page, n);
  await outage(OUTAGE_MS);
  await visitor.relay.up();
  await visitor.relay.until("all within a minute of recovery", () => visitor.relay.taken.size >= n, MINUTE_MS);
  await drained(page);
}

export async function unavailableForTenMinutes(visitor, n) {
  const { relay } = visitor;
  const page = await visitor.open();
  relay.fault = () => ({ status: 503 });
  await visitor.track(page, n);
  await outage(OUTAGE_MS);
  const times = relay.requests.map(({ at }) => at);
  relay.fault = () => undefined;
  assert.ok(times.length >= 3, `it goes on trying: ${times.length}`);
  for (const begin of times) {
    const minute = times.filter((at) => at >= begin && at < begin + MINUTE_MS).length;
    assert.ok(minute <= REQUESTS_A_MINUTE_MAX, `${minute} requests in a minute`);
  }
  await relay.until("all within a minute of recovery", () => relay.taken.size >= n, MINUTE_MS);
  await drained(page);
}

export async function toldToWait(visitor, n) {
  const { relay } = visitor;
  const page = await visitor.open();
  relay.fault = () => (relay.requests.length === 1 ? { status: 429, retryAfter: RETRY_AFTER_S } : undefined);
  await visitor.track(page, n - 2);
  await relay.until("it was told to wait", () => relay.requests[0]?.status);
  await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("trz_w")));
  await visitor.track(page, 1);
  await page.reload();
  await loaded(page);
  await visitor.track(page, 1);
  await drained(page);
  const waited = relay.requests[1].at - relay.requests[0].at;
  assert.ok(waited >= RETRY_AFTER_S * 1000, `waited ${waited} ms`);
}

export async function poison(visitor, n) {
  const page = await visitor.open();
  await page.evaluate(([run, n]) => {
    const half = n >> 1;
    see(run, 0, half);
    // Deeper than any event may be.
    let deep = {};
    for (let level = 0; level < 80; level++) deep = { deep };
    trenza.track("Poison", deep);
    see(run, half, n - half);
  }, [visitor.run, n]);
  await drained(page);
  assert.deepEqual(visitor.relay.requests.map(({ status, events }) => [status, events]), [[200, n + 1]], "in one batch");
}

export async function tooLarge(visitor, n) {
  const { relay } = visitor;
  const bytesMax = n > 10 ? 12_000 : 1500;
  relay.fault = ({ bytes }) => (bytes > bytesMax ? { status: 413 } : undefined);
  const page = await visitor.open();
  await visitor.track(page, n);
  await drained(page);
  assert.equal(relay.requests[0].status, 413);
}

export async function lostAnswers(visitor, n) {
  const { relay } = visitor;
  relay.fault = () => (relay.requests.length < 3 ? { lost: true } : undefined);
  const page = await visitor.open();
  await visitor.track(page, n);
  await drained(page);
  assert.ok(relay.requests.length >= 3);
}
