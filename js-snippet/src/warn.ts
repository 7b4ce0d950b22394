// Why the snippet stays silent, said once a reason on the console.

const said = new Set<string>();

export function warn(reason: string, ...details: unknown[]): void {
  if (said.has(reason)) return;
  said.add(reason);
  console.warn("trenza: " + reason, ...details);
}
