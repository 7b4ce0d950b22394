// The calls a page makes, from the consent gate to the queue. Puts the other files together.

import { handover, inbound } from "./carry.js";
import { categories, choose, CONSENT_KEY, remember, restore, status, type Remembered } from "./consent.js";
import { isObject, makeEvent, tick } from "./event.js";
import { ids, newIds, saveIds, settleIds, uuid } from "./ids.js";
import { followClicks, followRoutes } from "./page.js";
import { openQueue, put, rewrite } from "./queue.js";
import { forbidStore, isOpen, parse, settleDisk } from "./store.js";
import { adopt, openTransport, wake } from "./transport.js";
import type { CallOptions, Categories, ConsentStatus, Fields, Options, QueuedCall, Trenza } from "./types.js";
import { warn } from "./warn.js";

/** After this long without a choice the console says why nothing is sent. Unit: ms. */
const PENDING_WARN_MS = 60_000;

/** False without a write key: calls then do nothing, also to what an earlier page stored. */
let on = false;

type Method = (...args: any[]) => unknown;

/** When the call under way was made; earlier than now for calls from before the script arrived. */
let at: Date | undefined;

function capture(type: string, fields: Fields, options?: CallOptions): unknown {
  if (status == "denied") return warn("consent denied (or Global Privacy Control)");
  const time = tick(+at! || Date.now());
  const event = makeEvent(type, fields, new Date(time), options);
  put(event, time);
  wake();
  return { event };
}

function setConsent(next: ConsentStatus, chosen?: Categories): void {
  const mine = ids();
  choose(next, chosen);
  if (next == "granted") {
    const { a } = settleIds(mine);
    rewrite((event) => {
      if (event.anonymousId == mine.a) event.anonymousId = a;
      event.context.consent ||= { categoryPreferences: categories };
    });
    remember();
    settleDisk(wake);
    wake();
  }
}

/** `(name, more, options)` as the spec writes them for this type. */
const about =
  (type: string, name: string, more: string): Method =>
  (value: string, fields?: Fields, options?: CallOptions) =>
    capture(type, { [name]: value, [more]: fields || {} }, options);

const methods: Record<string, Method> = {
  track: about("track", "event", "properties"),
  page(...args) {
    if (isObject(args[0])) args.unshift(undefined); // page(properties)
    if (typeof args[1] != "string") args.unshift(undefined); // page(name, properties)
    const [category, name, properties, options] = args;
    return capture("page", { category, name, properties: properties || {} }, options);
  },
  identify(...args) {
    if (isObject(args[0])) args.unshift(undefined); // identify(traits)
    const [userId, traits, options] = args;
    if (userId) {
      const { a, u } = ids();
      // Somebody else at the same browser: what one did must not link to the other.
      saveIds({ a: u && u != userId ? uuid() : a, u: "" + userId });
    }
    return capture("identify", { traits: traits || {} }, options);
  },
  group: about("group", "groupId", "traits"),
  alias(userId: string, previousId?: string, options?: CallOptions) {
    const { a, u } = ids();
    return capture("alias", { userId, previousId: previousId || u || a }, options);
  },
  reset: () => void newIds(),
  setAnonymousId: (anonymousId?: string) => void (anonymousId && saveIds({ ...ids(), a: "" + anonymousId })),
  handover,
  consent(next?: ConsentStatus, chosen?: Categories) {
    if (/^(granted|denied|pending)$/.test(next!)) setConsent(next!, chosen);
    else if (next) throw next;
    return status;
  },
  ready: () => {},
};

/** Runs a call, answers with a kept promise, then calls back. Never throws into the page. */
function run(call: QueuedCall): Promise<unknown> {
  let result: unknown;
  let callback: QueuedCall[2];
  let keep: QueuedCall[2];
  try {
    const args = [...call[1]];
    keep = call[2];
    if (typeof args[args.length - 1] == "function") callback = args.pop() as typeof callback;
    at = call[3];
    if (on) result = methods[call[0]]!(...args);
  } catch (error) {
    warn("a call did nothing: " + error);
  }
  at = undefined;
  const kept = Promise.resolve(result || {});
  // `then` ignores what is no function.
  void kept.then(callback);
  void kept.then(keep);
  return kept;
}

/** Starts the snippet on `target`, which may be the array of calls made before it arrived. */
export function start({ writeKey, host, consent, autoPage, cookieless, linkHosts }: Options, target: object = {}): Trenza {
  const before = Array.isArray(target) ? (target.splice(0) as QueuedCall[]) : [];
  if (writeKey) {
    openQueue(writeKey);
    openTransport(host, writeKey);
    if (cookieless) forbidStore();
    inbound(linkHosts);
    restore(consent);
    if (isOpen()) saveIds(ids()); // Renews the cookie, which some browsers cap at a few days.
    settleDisk(wake);
    addEventListener("storage", ({ key, newValue }) => {
      if (key == CONSENT_KEY) setConsent(newValue ? "granted" : "denied", parse<Remembered>(newValue)?.c);
      else adopt();
    });
    setTimeout(() => {
      if (status == "pending") warn("waiting for trenza.consent(...)");
    }, PENDING_WARN_MS);
    followClicks((event, properties) => void run(["track", [event, properties]]), linkHosts);
    on = true;
  } else warn("no data-write-key");
  const api = target as Record<string, unknown>;
  for (const name in methods) api[name] = (...args: unknown[]) => run([name, args]);
  api.push = run;
  api.user = () => ({ id: () => ids().u || null, anonymousId: () => ids().a });
  if (autoPage) {
    const view = () => void run(["page", []]);
    view();
    followRoutes(view);
  }
  before.forEach(run);
  wake();
  return target as Trenza;
}
