import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { documents } from "../../support/markdown.js";
import { projectRoot } from "../../support/shared.js";

/** Below the project, so that modules are found as anywhere in it. */
const folder = path.join(projectRoot, "dist/docs-blocks");

const config = {
  extends: "../../tsconfig.json",
  compilerOptions: {
    noEmit: true,
    lib: ["ES2023", "DOM"],
    rootDir: "../..",
    // Examples may leave what they get unused, and need not say twice what is a type.
    noUnusedLocals: false,
    paths: {
      penni: ["../../src/index.ts"],
      "penni/graph": ["../../src/graph.ts"],
      "penni/compile": ["../../src/compile/index.ts"],
      "penni/runtime": ["../../src/runtime/index.ts"],
      "penni/pictures": ["../../src/runtime/pictures.ts"],
      "penni/boxes": ["../../src/runtime/boxes.ts"],
      "penni/vite": ["../../src/vite/index.ts"],
    },
  },
  // Types of models that are imported, as "types" in a tsconfig.json would add them.
  include: ["*.ts", "../../src/vite/client.d.ts"],
  exclude: [],
};

interface Example {
  readonly where: string;
  readonly code: string;
}

/** Blocks of TypeScript; `<!-- given: ... -->` before one declares what it takes for granted, `<!-- unchecked: reason -->` leaves it out. */
function examples(): readonly Example[] {
  const blocks = documents().flatMap(({ file, blocks }) =>
    blocks
      .filter(({ language }) => /^(?:ts|tsx|js)$/.test(language))
      .flatMap(({ text, line, note = "" }) => {
        if (/^unchecked: \S/.test(note)) return [];
        const [, given = ""] = /^given:(.*)$/s.exec(note) ?? [];
        return [{ where: `${file}:${line}`, code: `${given}\n${text}` }];
      }),
  );
  return [...blocks, ...docstringExample()];
}

/** The whole run that src/index.ts shows, with what it exports imported. */
function docstringExample(): readonly Example[] {
  const [, comment = ""] =
    /@example\n([\s\S]*?)\*\//.exec(readFileSync(path.join(projectRoot, "src/index.ts"), "utf8")) ?? [];
  const code = comment.replaceAll(/^ \* ?/gm, "");
  const names = [...new Set([...code.matchAll(/\b([a-z]\w+)\(/g)].map(([, name]) => name))];
  return [{ where: "src/index.ts", code: `import { ${names.join(", ")} } from "penni";\n${code}` }];
}

test("every block of TypeScript in the documents compiles against the package's entries", () => {
  const all = examples();
  assert.ok(all.length >= 6, `${all.length}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  all.forEach(({ where, code }, index) => {
    writeFileSync(path.join(folder, `block${index}.ts`), `// ${where}\n${code}\nexport {};\n`);
  });
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = path.join(projectRoot, "node_modules/typescript/bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
  assert.equal(
    status,
    0,
    `${stdout}\n${all.map(({ where }, index) => `block${index}: ${where}`).join("\n")}`,
  );
});
