// Scenarios in which the page is left while its events are still on their way.

import { drained, outage } from "./shop.mjs";

const OFFLINE_MS = 20_000;
/** A device that is back on the network does not wait for the next visit. */
const BACK_MS = 15_000;

export async function nextPage(visitor, n) {
  const page = await visitor.open();
  await page.evaluate(([run, n]) => document.querySelector("a").addEventListener("click", () => see(run, 0, n)), [visitor.run, n]);
  await page.click("a");
}

export async function tabClosed(visitor, n) {
  const page = await visitor.open();
  await visitor.track(page, n);
  await page.close({ runBeforeUnload: true });
  await visitor.relay.until("what fits was sent on closing", () => visitor.relay.taken.size >= n);
}

export async function offlineClosed(visitor, n) {
  const page = await visitor.open();
  await visitor.offline(true);
  await visitor.track(page, n);
  await page.close();
  await visitor.offline(false);
  await visitor.open();
}

export async function offlineForAWhile(visitor, n) {
  const page = await visitor.open();
  await visitor.offline(true);
  await visitor.track(page, n);
  await outage(OFFLINE_MS);
  await visitor.offline(false);
  await visitor.relay.until("it comes back by itself", () => visitor.relay.taken.size >= n, BACK_MS);
  await drained(page);
}

export async function refusedClosed(visitor, n) {
  const page = await visitor.open();
  await visitor.relay.down();
  await visitor.track(page, n);
  await page.close();
  await visitor.relay.up();
  await visitor.open();
}

export async function unavailableClosed(visitor, n) {
  const page = await visitor.open();
  visitor.relay.fault = () => ({ status: 503 });
  await visitor.track(page, n);
  await page.close();
  visitor.relay.fault = () => undefined;
  await drained(await visitor.open());
}

export async function downFromTheStart(visitor, n) {
  await visitor.relay.down();
  const page = await visitor.open();
  await visitor.track(page, n);
  await visitor.relay.up();
  await visitor.everythingOnce(n);
  await drained(page);
}
