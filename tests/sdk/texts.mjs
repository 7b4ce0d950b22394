// What every SDK sends: texts that must come out of the server as they went in.

const ODD = "ñ 漢字 👩‍👩‍👧 שלום \u0000\u0001\u001f\u007f\u2028\u2029\ufeff \" \\ </script> %00 + &";

/** The four texts of a case, each unlike all others: who, a page, an ordinary event, one of 20 KB. */
export const textsOf = (user) => ({
  user,
  trait: `${user} trait ${ODD}`,
  page: `${user} page ${ODD}`,
  track: `${user} track ${ODD}`,
  long: `${user} long ${"0123456789 abcdef ñ".repeat(1_000)}`,
});

/** Where each of them must stand in an event, and nowhere else: SDKs carry traits along in the context of later events. */
const PLACES = { trait: (event) => event.type === "identify" && [event.traits, event.context?.traits], page: (event) => [event.name, event.properties], track: (event) => event.properties, long: (event) => event.properties };

/** The texts of cases that an event carries, each with its name. */
export function* textsIn(event) {
  if (event.userId?.startsWith?.("case-")) yield ["user", event.userId];
  for (const [name, place] of Object.entries(PLACES)) {
    for (const text of new Set(leaves(place(event)))) if (text.startsWith("case-") && text.includes(` ${name} `)) yield [name, text];
  }
}

/** Every text in a JSON value. */
function* leaves(value) {
  if (typeof value === "string") yield value;
  else if (value && typeof value === "object") for (const inner of Object.values(value)) yield* leaves(inner);
}
