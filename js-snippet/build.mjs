// Builds dist/t.js (script tag) and dist/index.js (npm), and enforces the size budget.
// `--check` builds in memory and fails when the committed bytes differ. Same sources, same bytes, on any machine.

import { build } from "esbuild";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { minify } from "terser";
import ts from "typescript";

/** Bytes of dist/t.js on the wire: limits, not targets. The aim is 3,072 brotli. */
export const BUDGET = { brotli: 3584, gzip: 4096 };

const root = fileURLToPath(new URL(".", import.meta.url));
const { version } = JSON.parse(readFileSync(root + "package.json", "utf8"));

async function bundle(entry, format) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    format,
    target: "es2021",
    charset: "ascii",
    legalComments: "none",
    minifySyntax: true,
    define: { __VERSION__: JSON.stringify(version) },
  });
  const { code } = await minify(outputFiles[0].text, {
    ecma: 2020,
    module: true,
    toplevel: true,
    compress: { passes: 4, unsafe_arrows: true, pure_getters: true, hoist_props: true, inline: 1 },
    mangle: true,
    format: { comments: false },
  });
  return Buffer.from(code + "\n");
}

function declarations(name) {
  const text = readFileSync(`${root}src/${name}`, "utf8");
  const { outputText, diagnostics } = ts.transpileDeclaration(text, {
    fileName: name, reportDiagnostics: true,
    compilerOptions: { isolatedDeclarations: true, declaration: true, target: ts.ScriptTarget.ES2021, strict: true },
  });
  if (diagnostics?.length) throw new Error(ts.formatDiagnostics(diagnostics, ts.createCompilerHost({})));
  return Buffer.from(outputText);
}

export function sizes(bytes) {
  return {
    raw: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    brotli: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length,
  };
}

/** The files of dist/ that are built here, by name. Throws when t.js is over budget. */
export async function files() {
  const script = await bundle("src/main.ts", "iife");
  const { raw, gzip, brotli } = sizes(script);
  if (gzip > BUDGET.gzip || brotli > BUDGET.brotli) {
    throw new Error(`t.js has ${gzip} B gzip, ${brotli} B brotli; the budget is ${BUDGET.gzip} and ${BUDGET.brotli}`);
  }
  console.log(`t.js: ${raw} B raw, ${gzip} B gzip-9, ${brotli} B brotli-11`);
  return {
    "t.js": script,
    "index.js": await bundle("src/index.ts", "esm"),
    // The package's types: these two say all, nothing internal.
    "index.d.ts": declarations("index.ts"),
    "types.d.ts": declarations("types.ts"),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes("--check");
  const built = await files();
  for (const [name, bytes] of Object.entries(built)) {
    if (check && !readFileSync(`${root}dist/${name}`).equals(bytes)) {
      throw new Error(`dist/${name} is not what the sources give; run 'npm run build' and commit it`);
    }
  }
  if (!check) {
    mkdirSync(root + "dist", { recursive: true });
    for (const [name, bytes] of Object.entries(built)) writeFileSync(`${root}dist/${name}`, bytes);
  }
}
