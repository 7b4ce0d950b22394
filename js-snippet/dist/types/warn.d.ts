export declare function warn(reason: string, ...details: unknown[]): void;
