/** Anything JSON can carry. Values it cannot carry are left out, as `JSON.stringify` does. */
export type Fields = Record<string, unknown>;
/** The visitor's choice. Only `granted` lets anything be stored or sent. */
export type ConsentStatus = "pending" | "granted" | "denied";
/** What exactly was agreed to, by the site's own category names. */
export type Categories = Record<string, boolean>;
/** Per-call settings in the manner of the Segment spec; unknown ones ride on the event as they are. */
export interface CallOptions {
    /** Merged into the event's context, one level deep. */
    context?: Fields;
    /** When it happened, if not now. */
    timestamp?: Date | string;
    anonymousId?: string;
    messageId?: string;
    integrations?: Fields;
    [field: string]: unknown;
}
/** One event in Segment shape. Its content never changes once it left memory: a resend must be equal. */
export interface Event extends Fields {
    type: string;
    messageId: string;
    anonymousId: string;
    timestamp: Date | string;
    context: Fields;
}
/** What a call answers: the event as queued, or nothing where no event was made. */
export interface Receipt {
    event?: Event;
}
export type Callback = (receipt: Receipt) => void;
/** How the page sets the snippet up; the `data-*` attributes of the script tag. */
export interface Options {
    /** `data-write-key`: names the source. */
    writeKey: string;
    /** `data-host`: where events go. Default: the origin of the script. */
    host: string;
    /** `data-consent`: what holds until the visitor chooses. Default: `pending`. */
    consent?: string | undefined;
    /** `data-auto-page="true"`: a `page` event as soon as it loads and for each address that is shown without a load. */
    autoPage?: boolean;
    /** `data-cookieless="true"`: nothing rests on the terminal, also after a grant; a visitor lives as long as the page. */
    cookieless?: boolean;
    /** `data-link-hosts="shop.example www.shop.example:8443"`: the site's other hosts; a click on a link there takes the visitor along. */
    linkHosts?: string[] | null | undefined;
}
/** The global `trenza`. No method throws; every promise is kept at once, not when the event arrived. */
export interface Trenza {
    track(event: string, properties?: Fields, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    page(category: string, name: string, properties?: Fields, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    page(name?: string, properties?: Fields, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    page(properties: Fields, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    identify(userId: string, traits?: Fields, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    identify(traits: Fields, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    group(groupId: string, traits?: Fields, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    alias(userId: string, previousId?: string, options?: CallOptions, callback?: Callback): Promise<Receipt>;
    /** The visitor as the site already knows them; later events carry this id. */
    setAnonymousId(anonymousId: string): Promise<Receipt>;
    /**
     * A code for the kiosk, to be shown as QR: form-encoded text with `a` (anonymousId), `u` (userId), `x` (when it ends,
     * ms since 1970) and `fields`, whose names are the page's. Holds for `ms`, 15 minutes if left out. Not signed.
     */
    handover(fields?: Record<string, string>, ms?: number): Promise<string>;
    /** Forgets who the visitor is; the next event has a new `anonymousId`. Consent stays. */
    reset(): Promise<Receipt>;
    /** Tells the visitor's choice; without arguments it only answers what holds. */
    consent(status?: ConsentStatus, categories?: Categories): Promise<ConsentStatus>;
    ready(callback?: () => void): Promise<Receipt>;
    user(): {
        id(): string | null;
        anonymousId(): string;
    };
}
/** A call made before the script arrived: method, arguments, promise to keep, time of the call. */
export type QueuedCall = [method: string, args: unknown[], keep?: (value: unknown) => void, at?: Date];
