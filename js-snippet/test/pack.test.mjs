// The npm package as somebody else installs it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

test("the package holds the built files, README and licence, and works from outside", async () => {
  const home = mkdtempSync(join(tmpdir(), "trenza-pack-"));
  try {
    const [packed] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", home], { cwd: root, encoding: "utf8" }));
    assert.deepEqual(packed.files.map(({ path }) => path).sort(),
      ["LICENSE", "README.md", "dist/index.d.ts", "dist/index.js", "dist/t.js", "dist/types.d.ts", "package.json"]);
    const folder = join(home, "node_modules/@trenza/snippet");
    mkdirSync(folder, { recursive: true });
    execFileSync("tar", ["-xzf", join(home, packed.filename), "-C", folder, "--strip-components=1"]);
    assert.equal(readFileSync(join(folder, "LICENSE"), "utf8"), readFileSync(join(root, "../LICENSE"), "utf8"));
    // The types as the package exports them, resolved as Node does.
    const use = readFileSync(join(root, "test/types.ts"), "utf8").replace("../dist/index.js", "@trenza/snippet");
    assert.match(use, /from "@trenza\/snippet"/);
    writeFileSync(join(home, "use.ts"), use);
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--module", "nodenext",
      "--target", "es2021", "--lib", "es2021,dom", "use.ts"], { cwd: home, stdio: "inherit" });
    const { outputFiles } = await build({ absWorkingDir: home, entryPoints: ["use.ts"], bundle: true, write: false, format: "esm" });
    assert.match(outputFiles[0].text, /\/v1\/batch/);
    assert.match(readFileSync(join(folder, "dist/t.js"), "utf8"), /^\(\(\)=>/);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
