// Scenarios of the visitor's choice.

import assert from "node:assert/strict";

import { afterRemoval, NOTHING, terminal } from "./shop.mjs";

const TEN_MINUTES_MS = 600_000;

/** Nothing is on the network before the choice, so a clock that is put forward in the page is as good as ten minutes. */
export async function grantedLate(visitor, n) {
  const began = Date.now() - TEN_MINUTES_MS;
  const page = await visitor.open({ consent: "pending" }, { setUp: (page) => page.clock.install({ time: began }) });
  const early = n >> 1;
  await visitor.track(page, early);
  await page.clock.runFor(TEN_MINUTES_MS);
  await visitor.track(page, n - early);
  assert.deepEqual(await terminal(page), NOTHING);
  assert.equal(visitor.relay.requests.length, 0);
  await page.evaluate(() => trenza.consent("granted", { analytics: true, ads: false }));
  await page.clock.runFor(1000);
  await visitor.everythingOnce(n);
  const events = (await visitor.stored()).sort((a, b) => a.properties.i - b.properties.i);
  const apart = Date.parse(events.at(-1).timestamp) - Date.parse(events[0].timestamp);
  assert.ok(Math.abs(apart - TEN_MINUTES_MS) < 60_000, `first and last are ${apart} ms apart`);
  for (const event of events) assert.deepEqual(event.context.consent, { categoryPreferences: { analytics: true, ads: false } });
}

export async function denied(visitor, n) {
  // What an earlier grant left is on the terminal, since the server is away.
  await visitor.relay.down();
  const page = await visitor.open();
  await visitor.track(page, n);
  assert.notDeepEqual(await terminal(page), NOTHING);
  await page.evaluate(() => trenza.consent("denied"));
  await visitor.relay.up();
  await visitor.track(page, n);
  assert.deepEqual(await afterRemoval(page), NOTHING);
  const next = await visitor.open({ consent: "pending" });
  await visitor.track(next, n);
  await next.evaluate(() => trenza.consent("denied"));
  await visitor.track(next, n);
  assert.deepEqual(await terminal(next), NOTHING);
  assert.deepEqual(await visitor.context.cookies(), []);
  await Promise.all([page.close(), next.close()]);
  // Whatever was under way has arrived once this has.
  await fetch(`${visitor.relay.origin}/v1/batch`, { method: "POST", body: JSON.stringify({ batch: [{ type: "track", messageId: visitor.run }] }) });
  assert.equal(visitor.relay.requests.length, 1);
  assert.deepEqual(await visitor.stored(), []);
}
