// The events that wait: one key each, so that two tabs never overwrite one another.
// Never sends; an event leaves when the transport saw a 200, or as the oldest of too many.

import { get, keys, parse, remove, set } from "./store.js";
import type { Event, Fields } from "./types.js";

/** Events kept while the server is away; the oldest go first, counted in the next event's `context.trenza.dropped`. */
export const QUEUE_EVENTS_MAX = 1000;
/** Events per request; their text alone fits the 64 KiB that survive the page. */
const BATCH_EVENTS_MAX = 250;

let prefix = "";
let size = 0;

export const openQueue = (writeKey: string): void => {
  prefix = "trz_q|" + writeKey + "|";
};

export const waiting = (): string[] => {
  const found = keys(prefix);
  size = found.length;
  return found;
};

export function read(key: string): Event | undefined {
  const event = parse<Event>(get(key));
  if (event?.context) return event;
  remove(key); // Damaged or gone: nobody can send it.
  return undefined;
}

/** Queues an event under its time; throws only when it is not JSON. */
export function put(event: Event, time: number): void {
  let dropped = 0;
  if (++size > QUEUE_EVENTS_MAX)
    for (const key of waiting().slice(0, 1 - QUEUE_EVENTS_MAX)) {
      // The count rides on an event, not on a batch: a resend in another batch must have equal content.
      dropped += 1 + (((read(key)?.context.trenza as Fields)?.dropped as number) || 0);
      remove(key);
    }
  if (dropped) event.context.trenza = { ...(event.context.trenza as Fields), dropped };
  set(prefix + time + "|" + event.messageId, JSON.stringify(event));
}

/** Rewrites what waited in memory, now that it may rest on the terminal. */
export function rewrite(change: (event: Event) => void): void {
  for (const key of waiting()) {
    const event = read(key);
    if (event) {
      change(event);
      set(key, JSON.stringify(event));
    }
  }
}

/** The oldest events that fit one request, without those under way. At least one, however large. */
export function take(lengthMax: number, underWay: ReadonlySet<string>): string[] {
  const batch: string[] = [];
  for (const key of waiting()) {
    if (underWay.has(key)) continue;
    lengthMax -= (get(key) || "").length;
    if (batch[0] && (lengthMax < 0 || batch[BATCH_EVENTS_MAX - 1])) break;
    batch.push(key);
  }
  return batch;
}
