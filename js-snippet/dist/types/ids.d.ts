/** Short names, since they rest on the terminal as JSON. */
export interface Ids {
    /** anonymousId */
    a: string;
    /** userId */
    u?: string;
}
/** A version 4 UUID; `randomUUID` is missing on plain http. */
export declare function uuid(): string;
export declare function saveIds(ids: Ids): Ids;
export declare const forgetCookie: () => void;
/** Read anew each time, since another tab may have changed them. */
export declare const ids: () => Ids;
/**
 * The store was just opened: the visitor keeps the anonymousId of an earlier visit or of another tab, unless this
 * page meanwhile identified somebody else.
 */
export declare function settleIds(mine: Ids): Ids;
/** A new visitor. */
export declare const newIds: () => Ids;
