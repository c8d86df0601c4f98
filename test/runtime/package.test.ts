import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { importsOf, reachableModules } from "../../support/imports.js";
import { projectRoot } from "../../support/shared.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-package-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const compiler = path.join(projectRoot, "node_modules/typescript/bin/tsc");
const tsc = (...args: readonly string[]) =>
  execFileSync(process.execPath, [compiler, "--ignoreConfig", "--target", "ES2023", ...args], {
    cwd: folder,
    encoding: "utf8",
  });

const runtime = path.join(projectRoot, "dist/src/runtime/index.js");
const LARGEST_RUNTIME = 7373;

test("the loader imports nothing and is at most 7.2 KB, gzipped without comments", () => {
  assert.deepEqual(importsOf(readFileSync(runtime, "utf8")), []);
  const source = path.join(projectRoot, "src/runtime/index.ts");
  tsc(
    "--module",
    "NodeNext",
    "--types",
    "node",
    "--typeRoots",
    path.join(projectRoot, "node_modules/@types"),
    ...["--removeComments", "--outDir", "small", source],
  );
  assert.deepEqual(readdirSync(path.join(folder, "small")).toSorted(), ["index.js", "types.js"]);
  const { byteLength } = gzipSync(readFileSync(path.join(folder, "small/index.js")), { level: 9 });
  assert.ok(byteLength <= LARGEST_RUNTIME, `${byteLength} bytes`);
});

test("the compiler's entry point reaches no module of Node and one package", () => {
  const { files, packages } = reachableModules(path.join(projectRoot, "dist/src/compile/index.js"));
  assert.ok(files.length > 50);
  assert.deepEqual(packages, [
    "@bufbuild/protobuf",
    "@bufbuild/protobuf/codegenv2",
    "@bufbuild/protobuf/wire",
  ]);
});

test("a program of a browser type-checks against the package's types, without those of Node", () => {
  symlinkSync(path.join(projectRoot, "node_modules"), path.join(folder, "node_modules"));
  const program = `
import { type Box, findBoxes } from "penni/boxes";
import { readPicture } from "penni/pictures";
import { load, type ClassScore } from "penni/runtime";
import { compileToWasm } from "penni/compile";

export async function use(data: ImageData, file: Blob): Promise<readonly ClassScore[]> {
  const model = await load(fetch("model.wasm"));
  const output: Float32Array = model.run(new Float32Array(3));
  const both = await load<{ a: Float32Array; b: Int32Array }>(new URL("https://example.org/model.wasm"));
  const b: Int32Array = both.run({ x: new Float32Array(3), y: new Float32Array(3) }).b;
  const own = await load(compileToWasm(new Uint8Array(await file.arrayBuffer())));
  // @ts-expect-error one array is no list
  model.run([output[0] ?? b[0] ?? 0]);
  await load(file);
  own.classify(await readPicture(file));
  const boxes: readonly Box[] = findBoxes(own, data, { leastScore: 0.5 });
  findBoxes(own, data).concat(boxes);
  return own.classify(data);
}
`;
  writeFileSync(path.join(folder, "use.ts"), program);
  const self = path.join(projectRoot, "dist/src");
  const config = {
    compilerOptions: {
      target: "ES2023",
      lib: ["ES2023", "DOM"],
      types: [],
      module: "ESNext",
      moduleResolution: "bundler",
      strict: true,
      noEmit: true,
      paths: {
        "penni/runtime": [path.join(self, "runtime/index.d.ts")],
        "penni/boxes": [path.join(self, "runtime/boxes.d.ts")],
        "penni/pictures": [path.join(self, "runtime/pictures.d.ts")],
        "penni/compile": [path.join(self, "compile/index.d.ts")],
      },
    },
    files: ["use.ts"],
  };
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  execFileSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
});

test("package.json exports what is there", async () => {
  const { exports } = JSON.parse(readFileSync(path.join(projectRoot, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, { readonly default?: string; readonly types: string }>>;
  };
  const typesAlone = ["./vite/client"];
  const code = [".", "./graph", "./runtime", "./pictures", "./boxes", "./compile", "./vite"];
  assert.deepEqual(Object.keys(exports), [...code, ...typesAlone]);
  for (const [entry, { default: code, types }] of Object.entries(exports)) {
    assert.equal(code === undefined, typesAlone.includes(entry), entry);
    for (const file of [code, types])
      if (file !== undefined) assert.ok(readFileSync(path.join(projectRoot, file)).length > 0);
  }
});
