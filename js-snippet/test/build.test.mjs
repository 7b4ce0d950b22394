import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BUDGET, files, sizes } from "../build.mjs";

test("the committed files are what the sources give, twice over", async () => {
  const [once, again] = [await files(), await files()];
  for (const [name, bytes] of Object.entries(once)) {
    assert.ok(bytes.equals(again[name]), `${name} differs between two builds`);
    assert.ok(bytes.equals(readFileSync(new URL(`../dist/${name}`, import.meta.url))), `run 'npm run build' and commit dist/${name}`);
  }
});

test("t.js keeps its size budget", () => {
  const { gzip, brotli } = sizes(readFileSync(new URL("../dist/t.js", import.meta.url)));
  assert.ok(gzip <= BUDGET.gzip && brotli <= BUDGET.brotli, `${gzip} gzip, ${brotli} brotli`);
});

test("t.js has no eval and no markup sink", () => {
  const text = readFileSync(new URL("../dist/t.js", import.meta.url), "utf8");
  for (const banned of ["eval(", "Function(", "innerHTML", "outerHTML", "document.write", "insertAdjacent", "http:", "https://"]) {
    assert.ok(banned === "http:" || !text.includes(banned), banned);
  }
});
