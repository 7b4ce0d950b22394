import type { Categories, ConsentStatus } from "./types";
/** Its localStorage key also tells the other tabs. */
export declare const CONSENT_KEY = "c";
interface Remembered {
    c: Categories;
    /** Granted although the browser sent Global Privacy Control. */
    g: boolean;
}
export declare let status: ConsentStatus;
export declare let categories: Categories;
/**
 * The visitor's own choice, made now. Whatever is not a grant forgets everything. `opened` runs between opening the
 * store and telling the other tabs, which take over what it wrote.
 */
export declare function choose(next: ConsentStatus, chosen?: Categories, opened?: () => void): void;
/** What holds on a new page: the remembered grant, else Global Privacy Control, else what the page says. */
export declare function restore(fromPage: string | undefined): void;
/** The categories of a grant as another tab stored it; `undefined` when it is none. */
export declare function remembered(text: string | null): Remembered | undefined;
export {};
