// From the queue to the server: when, by whom, how much, and what the answer means.
// An event leaves the queue only on a 200 that says so, or when it alone is refused for ever (400, 413).

import { status as consent } from "./consent.js";
import { read, take } from "./queue.js";
import { quiet } from "./quiet.js";
import { get, inMemory, remove, set } from "./store.js";
import type { Event } from "./types.js";
import { warn } from "./warn.js";

/** Calls of one moment share a request. Unit: ms. */
const GATHER_MS = 50;
/** A tab looks after the events of another one this much later, should it have gone. */
const ADOPT_MS = 5000;
const BACKOFF_BASE_MS = 1000;
const BACKOFF_CAP_MS = 60_000;
/** A `Retry-After` beyond it, or a clock set back, is not believed. */
const WAIT_MS_MAX = 3_600_000;
const ANSWER_MS_MAX = 30_000;
/** Unit: characters of JSON, at most three bytes each. */
const BATCH_LENGTH_MAX = 400_000;
/** Browsers let 64 KiB survive the page. */
const KEEPALIVE_BYTES_MAX = 60_000;

let url = "";
let writeKey = "";
let waitKey = "";
let timer: ReturnType<typeof setTimeout>;
let due = Infinity;
let flushing = false;
let failures = 0;
let unreachable = false;
const underWay = new Set<string>();

export function openTransport(host: string, key: string): void {
  url = host.replace(/\/$/, "") + "/v1/batch";
  writeKey = key;
  waitKey = "trz_w|" + key;
  addEventListener("pagehide", leave);
  addEventListener("visibilitychange", () => document.hidden && leave());
  addEventListener("online", () => {
    if (unreachable) remove(waitKey);
    wake(Math.random() * BACKOFF_BASE_MS);
  });
  addEventListener("pageshow", (event) => {
    // Back from the back-forward cache: requests that were under way have no answer any more.
    if (event.persisted) {
      underWay.clear();
      wake();
    }
  });
}

/** Milliseconds the server or the back-off asked for; kept on the terminal, since a reload must not shorten them. */
function wait(): number {
  const left = +(get(waitKey) || 0) - Date.now();
  return left > 0 && left <= WAIT_MS_MAX ? left : 0;
}

/** Sends soon: gathers calls, respects the back-off, keeps the earliest of several wishes. */
export function wake(delay: number = GATHER_MS): void {
  delay = Math.max(delay, wait());
  const at = performance.now() + delay;
  if (at < due) {
    clearTimeout(timer);
    due = at;
    timer = setTimeout(flush, delay);
  }
}

/** Another tab queued something: it sends it, unless it is gone by then. */
export const adopt = (): void => wake(ADOPT_MS);

/** One tab of the origin sends at a time; whoever waits for the lock finds what the holder left. */
async function flush(): Promise<void> {
  due = Infinity;
  if (flushing || consent != "granted") return;
  flushing = true;
  // No locks here (plain http, sandbox): the server drops what two tabs send.
  await (quiet(() => navigator.locks.request(waitKey, drain).catch(drain)) || drain());
  flushing = false;
  if (take(0, underWay)[0]) wake();
}

async function drain(): Promise<void> {
  while (consent == "granted" && !wait()) {
    const batch = take(BATCH_LENGTH_MAX, underWay);
    if (!batch[0] || !(await deliver(batch))) return;
  }
}

/**
 * The page may be gone in a moment. What is sent now stays queued until a 200 was seen, if need be by the next visit.
 * A pause the server asked for holds, except for events that memory alone has.
 */
function leave(): void {
  if (consent != "granted") return;
  const pause = wait();
  const batch = take(BATCH_LENGTH_MAX, underWay).filter((key) => !pause || inMemory(key));
  if (batch[0]) void deliver(batch, true).then(() => wake());
}

/** False when sending has to pause. On leaving the page only as many of the oldest as survive it. */
async function deliver(keys: string[], leaving?: boolean): Promise<boolean> {
  const half = keys.length >> 1;
  const events = keys.map(read).filter((event) => event) as Event[];
  if (!events[0]) return true;
  const body = encode(events);
  const small = new Blob([body]).size <= KEEPALIVE_BYTES_MAX;
  if (leaving && half && !small) return deliver(keys.slice(0, half), leaving);
  keys.forEach((key) => underWay.add(key));
  /** 0: no usable answer. */
  let code = 0;
  /** Unit: ms. */
  let retryAfter = 0;
  try {
    // Plain text and no credentials: no preflight, no cookies.
    const answer = await fetch(url, {
      method: "POST",
      body,
      // Refused when other requests of the page already fill the 64 KiB; the retry does without.
      keepalive: small && (leaving || !failures),
      credentials: "omit",
      signal: AbortSignal.timeout?.(ANSWER_MS_MAX) as AbortSignal /* old browsers: none */,
    });
    const after = answer.headers.get("retry-after") || 0;
    retryAfter = (+after >= 0 ? +after * 1000 : Date.parse(after as string) - Date.now()) || 0;
    if (answer.status == 200) {
      const { success, rejected } = (await answer.json()) as { success?: boolean; rejected?: unknown[] };
      if (rejected?.[0]) warn("set aside", rejected);
      // Any proxy can answer 200; only the server says that the events are stored.
      if (success) code = 200;
    } else code = answer.status;
  } catch {
    // Nobody answered.
  }
  keys.forEach((key) => underWay.delete(key));
  unreachable = !code;
  if (code == 200) {
    failures = 0;
    keys.forEach(remove);
    return true;
  }
  if (code == 400 || code == 413) {
    if (half) return (await deliver(keys.slice(0, half))) && deliver(keys.slice(half));
    warn("refused an event: " + code, events[0]);
    remove(keys[0]!);
    return true;
  }
  if (code) warn("events wait: " + code);
  // Jitter after the cap, or all clients would come back in the same second.
  const pause = Math.random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** failures++);
  set(waitKey, "" + (Date.now() + Math.min(WAIT_MS_MAX, retryAfter + pause)));
  return false;
}

/** What all events of the batch have in common stands once in the root context; the server merges it into each. */
export function encode(batch: Event[]): string {
  const context: Event["context"] = {};
  for (const name in batch[0]!.context) {
    const value = JSON.stringify(batch[0]!.context[name]);
    if (batch.every((event) => JSON.stringify(event.context[name]) == value)) {
      context[name] = batch[0]!.context[name];
      batch.forEach((event) => delete event.context[name]);
    }
  }
  return JSON.stringify({ writeKey, sentAt: new Date(), context, batch });
}
