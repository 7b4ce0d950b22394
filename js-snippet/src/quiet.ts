// What a browser forbids (storage in a sandbox, a full disk) must never reach the page.

/** The answer of `act`, or `undefined` when it throws: the caller knows what is left to do then. */
export function quiet<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
