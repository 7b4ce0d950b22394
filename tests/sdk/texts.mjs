// What every SDK sends: texts that must come out of the server as they went in.

const ODD = "ñ 漢字 👩‍👩‍👧 שלום \u0000\u0001\u001f\u007f\u2028\u2029\ufeff \" \\ </script> %00 + &";

/** The four texts of a case, each unlike all others: who, a page, an ordinary event, one of 20 KB. */
export const textsOf = (user) => ({
  user,
  trait: `${user} trait ${ODD}`,
  page: `${user} page ${ODD}`,
  track: `${user} track ${ODD}`,
  long: `${user} long ${"ñandú🧵".repeat(1_820)}`,
});

/** Every text in a JSON value. */
export function* leaves(value) {
  if (typeof value === "string") yield value;
  else if (value && typeof value === "object") for (const inner of Object.values(value)) yield* leaves(inner);
}
