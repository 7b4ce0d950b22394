// What a web developer may write, checked by tsc against the built package; never run.

import { load, type Event, type Trenza } from "../dist/index.js";

const trenza: Trenza = load({ writeKey: "KEY", host: "https://example.org", consent: "pending", autoPage: true });

void trenza.track("Bought", { price: 3 }, { context: { trenza: { touchpoint: "stand-b" } } }, (receipt) => receipt.event?.messageId);
void trenza.page();
void trenza.page("Docs", "Home", { topic: "x" });
void trenza.page({ topic: "x" });
void trenza.identify("u1", { email: "ada@example.org" });
void trenza.identify({ plan: "free" });
void trenza.consent("granted", { analytics: true });
void trenza.ready(() => undefined);
void trenza.setAnonymousId("known");
void trenza.handover({ email: "ada@example.org" }, 600_000).then((code) => code.length);
load({ writeKey: "KEY", host: "https://example.org", cookieless: true, linkHosts: ["shop.example"] });
export const id: string = trenza.user().anonymousId();
export const named = (event: Event): string => event.type;

// @ts-expect-error: not a consent
void trenza.consent("maybe");
// @ts-expect-error: the source must be named
load({ host: "https://example.org" });
