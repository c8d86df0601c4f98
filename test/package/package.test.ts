import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { encodeModel } from "../../src/onnx/write.js";
import { projectRoot } from "../../support/shared.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

/**
 * The package as a stranger gets it: packed, and installed in an empty directory from the registry alone, with nothing in the
 * environment that helps it.
 */
const run = promisify(execFile);
const tool = (name: string): string => path.join(projectRoot, "node_modules/.bin", name);

/** By which the compiler checks a program for Node.js with these libraries. */
const programForNode = (libraries: string): readonly string[] => [
  ...["--module", "nodenext", "--target", "es2022", "--lib", libraries, "--strict", "--noEmit"],
  ...["--typeRoots", path.join(projectRoot, "node_modules/@types"), "--types", "node"],
];

const folder = await mkdtemp(path.join(tmpdir(), "penni-package-"));
after(() => rm(folder, { recursive: true, force: true }));

/** Not what `npm test` and this repository's own settings put there. */
const strangers = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_|^ONNXRUNTIME|^NODE_|^INIT_CWD$/i.test(name)),
);

async function pack(): Promise<string> {
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const { stdout } = await run("npm", args, { cwd: projectRoot });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return path.join(folder, filename);
}

const tarball = await pack();
const LARGEST = 600_000;

test(`the tarball has at most ${LARGEST} bytes, no source maps, and declarations of what can be imported`, async () => {
  assert.ok((await stat(tarball)).size <= LARGEST, `${(await stat(tarball)).size} bytes`);
  const { stdout } = await run("tar", ["-tzf", tarball]);
  const files = stdout.trim().split("\n");
  assert.deepEqual(
    files.filter((file) => file.endsWith(".map")),
    [],
  );
  const declared = files.filter((file) => file.endsWith(".d.ts"));
  for (const entry of ["index", "graph", "runtime/index", "compile/index"])
    assert.ok(declared.includes(`package/dist/src/${entry}.d.ts`), entry);
  // Every step of the command line is code, but nobody imports it.
  assert.ok(!declared.some((file) => file.includes("/cli/")));
  const { stdout: main } = await run("tar", ["-xzOf", tarball, "package/dist/package/index.js"]);
  assert.doesNotMatch(main, /sourceMappingURL/);
});

/** Links of a page to files, relative to where it lies. */
const linksOf = (page: string): readonly string[] =>
  [...page.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = ""]) => link.replace(/#.*/, ""))
    .filter((link) => link !== "" && !/^\w+:/.test(link));

/** What is for those who change Penni, or of figures: only in the repository. */
const elsewhere =
  /^(ARCHITECTURE|CONTRIBUTING|CHANGELOG)\.md$|^(bench|results|web|src|scripts)(\/|$)|^docs\/(decisions|benchmarks|training-speed|formats|method|recipe|scale|sweep)\.md$/;

test("the guides of the way from a network to a page, and the examples, are in it, and their links lead to what is", async () => {
  const { stdout } = await run("tar", ["-tzf", tarball]);
  const files = stdout
    .trim()
    .split("\n")
    .map((file) => file.replace(/^package\//, ""));
  const has = (place: string): boolean =>
    files.some((file) => file === place || file.startsWith(`${place.replace(/\/$/, "")}/`));
  const pages = files.filter((file) => file.endsWith(".md"));
  for (const page of ["README.md", "docs/start.md", "docs/compile.md", "examples/detector/README.md"])
    assert.ok(pages.includes(page), page);
  for (const file of ["examples/detector/src/main.ts", "examples/page/vite.config.ts"])
    assert.ok(files.includes(file), file);
  for (const page of pages) {
    const text = await readFile(path.join(projectRoot, page), "utf8");
    const dead = linksOf(text)
      .map((link) => path.posix.join(path.posix.dirname(page), link))
      .filter((place) => !has(place) && !elsewhere.test(place));
    assert.deepEqual(dead, [], page);
  }
});

test("publint has nothing to say", async () => {
  const { publint } = await import("publint");
  const { messages } = await publint({ pkgDir: projectRoot, strict: true, pack: false });
  assert.deepEqual(messages, []);
});

test("attw: types resolve from ESM, from CommonJS (Node 20.19 can require ESM) and for bundlers", async () => {
  const rules = ["--profile", "node16", "--ignore-rules", "cjs-resolves-to-esm"];
  await run(tool("attw"), [tarball, ...rules, "--no-emoji", "--no-color"]);
});

/** Why the tests on the installed package are skipped; undefined once it is installed. */
let withoutPackage: string | undefined = "it is not installed";
let installed = "";

async function install(): Promise<void> {
  installed = path.join(folder, "empty");
  await mkdir(installed);
  const args = ["install", tarball, "--no-audit", "--no-fund", "--prefer-offline"];
  try {
    await run("npm", args, { cwd: installed, env: strangers });
    withoutPackage = undefined;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // The registry is what is needed; any other server is not.
    if (!/(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT)[^\n]*registry/.test(text)) throw error;
    withoutPackage = "needs the package registry, which cannot be reached";
  }
}

/** Runs a program of the installed package's directory; standard error must stay empty. */
async function quietly(command: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(command, args, { cwd: installed, env: strangers });
  assert.equal(stderr, "");
  return stdout;
}

const penni = (...args: readonly string[]): Promise<string> => quietly("node_modules/.bin/penni", args);

describe("installed from the tarball in an empty directory", () => {
  before(install);

  /** A test that is skipped, with the reason, where the registry cannot be reached. */
  const check = (name: string, work: () => Promise<void>): void => {
    test(name, async (context) => {
      if (withoutPackage !== undefined) return context.skip(withoutPackage);
      await work();
    });
  };

  check("no CUDA was downloaded, and the command line runs a network", async () => {
    const binaries = path.join(installed, "node_modules/onnxruntime-node/bin/napi-v6/linux/x64");
    if (existsSync(binaries)) {
      const providers = (await readdir(binaries)).filter((file) => file.includes("_providers_"));
      for (const file of providers) assert.equal((await stat(path.join(binaries, file))).size, 0, file);
    }
    const { version } = JSON.parse(await readFile(path.join(projectRoot, "package.json"), "utf8"));
    assert.equal((await penni("--version")).trim(), version);
    await writeFile(path.join(installed, "model.onnx"), encodeModel(tinyCnn()));
    assert.match(await penni("inspect", "model.onnx"), /Conv/);
    const { stdout } = await run(
      "node_modules/.bin/penni",
      ["eval", "model.onnx", "--data", "synthetic:50"],
      {
        cwd: installed,
        env: strangers,
      },
    );
    assert.match(stdout, /top-1/);
  });

  check("ESM imports and CommonJS requires the same, without a warning", async () => {
    for (const entry of [
      "penni",
      "penni/graph",
      "penni/runtime",
      "penni/pictures",
      "penni/boxes",
      "penni/compile",
    ]) {
      const print = "console.log(JSON.stringify(Object.keys(found).sort()))";
      const esm = `import * as found from "${entry}"; ${print}`;
      const cjs = `const found = require("${entry}"); ${print}`;
      const names = await quietly(process.execPath, ["--input-type=module", "-e", esm]);
      assert.ok((JSON.parse(names) as string[]).length > 1);
      assert.equal(await quietly(process.execPath, ["--input-type=commonjs", "-e", cjs]), names, entry);
    }
  });

  check("a page compiles without Node's types, with all declarations checked", async () => {
    const source = `
      import { compileToWasm } from "penni/compile";
      import { decodeModel, decompose, importModel, pruneCoefficients, shrink, simplify } from "penni/graph";
      import { load } from "penni/runtime";
      export async function classify(model: Uint8Array, image: Float32Array): Promise<number> {
        const decomposed = decompose(simplify(importModel(decodeModel(model))), { basis: 5 });
        const network = await load(compileToWasm(shrink(pruneCoefficients(decomposed, { factor: 0.5 }).graph)));
        const scores: Float32Array = network.run(image);
        return scores.indexOf(Math.max(...scores));
      }`;
    for (const [file, module, resolution] of [
      ["page.ts", "esnext", "bundler"],
      ["page.mts", "node16", "node16"],
      ["page.cts", "nodenext", "nodenext"],
    ] as const) {
      await writeFile(path.join(installed, file), source);
      const options = ["--module", module, "--moduleResolution", resolution, "--target", "es2022"];
      const strict = [
        "--strict",
        "--noEmit",
        "--types",
        "",
        "--lib",
        "es2023,dom",
        "--skipLibCheck",
        "false",
      ];
      await quietly(tool("tsc"), [...options, ...strict, file]);
    }
  });

  check("every name that an entry has is declared, by declarations that hold by themselves", async () => {
    const entries = [
      "penni",
      "penni/graph",
      "penni/compile",
      "penni/runtime",
      "penni/pictures",
      "penni/boxes",
    ];
    const imports = [];
    for (const [number, entry] of entries.entries()) {
      const print = `console.log(JSON.stringify(Object.keys(await import("${entry}"))))`;
      const names = JSON.parse(await quietly(process.execPath, ["-e", print])) as string[];
      const renamed = names.map((name) => `${name} as ${name}${number}`).join(", ");
      imports.push(`import { ${renamed} } from "${entry}";`);
      imports.push(`export const all${number} = [${names.map((name) => name + number).join(", ")}];`);
    }
    await writeFile(path.join(installed, "all.mts"), imports.join("\n"));
    const options = [...programForNode("es2023,dom"), "--skipLibCheck", "false"];
    const check = run(tool("tsc"), [...options, "all.mts"], { cwd: installed });
    const { stdout } = await check.catch((failed: { stdout: string }) => failed);
    // What is wrong with the declarations of another package is not ours to mend.
    const ours = stdout.split("\n").filter((line) => /^(all\.mts|node_modules\/penni\/)/.test(line));
    assert.deepEqual(ours, []);
  });

  check("what no entry leads to is not declared", async () => {
    const declared = (file: string): Promise<string> =>
      readFile(path.join(installed, "node_modules/penni/dist/src", `${file}.d.ts`), "utf8");
    const plan = await declared("method/shrink/plan");
    assert.match(plan, /export declare function planShrink\(/);
    assert.match(plan, /\* The largest set of channels that can go/);
    assert.doesNotMatch(plan, /checkPlan/);
    // The compiled code has it all the same.
    assert.match(
      await readFile(path.join(projectRoot, "src/method/shrink/plan.ts"), "utf8"),
      /export function checkPlan/,
    );
  });

  check("a program for Node compiles against the whole library", async () => {
    const source = `
      import { countGraph, importForCompression, readModel } from "penni";
      export const macs = async (file: string): Promise<number> =>
        countGraph(importForCompression(await readModel(file))).paperMacs;`;
    for (const file of ["program.mts", "program.cts"]) {
      await writeFile(path.join(installed, file), source);
      // The declarations of onnxruntime-common want those of a browser.
      await quietly(tool("tsc"), [...programForNode("es2023"), "--skipLibCheck", file]);
    }
  });

  const page = `
    import { compileToWasm } from "penni/compile";
    import { decodeModel, decompose, encodeModel, importModel, shrink, simplify } from "penni/graph";
    import { load } from "penni/runtime";
    export const scores = async (model, image) => {
      const smaller = shrink(decompose(simplify(importModel(decodeModel(model))), { basis: 2 }));
      return (await load(compileToWasm(encodeModel(smaller)))).run(image);
    };`;

  /** What is bundled for a browser imports nothing, and computes in any engine what it should. */
  async function assertRuns(bundle: string): Promise<void> {
    const text = await readFile(bundle, "utf8");
    assert.doesNotMatch(text, /\bfrom\s*["']node:|require\(["']|import\(["']/);
    const use = `
      import { scores } from ${JSON.stringify(bundle)};
      import { readFileSync } from "node:fs";
      const image = new Float32Array(${elements}).fill(0.5);
      console.log((await scores(new Uint8Array(readFileSync("model.onnx")), image)).length);`;
    assert.equal((await quietly(process.execPath, ["--input-type=module", "-e", use])).trim(), "10");
  }

  const shape = tinyCnn().inputs[0]?.type?.shape ?? [];
  const elements = shape.slice(1).reduce<number>((product, dim) => product * Number(dim), 1);

  check("esbuild bundles compiler and runtime for the browser", async () => {
    await writeFile(path.join(installed, "entry.js"), page);
    const bundle = path.join(installed, "esbuild.mjs");
    await quietly(tool("esbuild"), [
      "entry.js",
      "--bundle",
      "--format=esm",
      "--platform=browser",
      "--log-level=warning",
      `--outfile=${bundle}`,
    ]);
    await assertRuns(bundle);
  });

  check("Vite bundles them too", async () => {
    const { build } = await import("vite");
    await writeFile(path.join(installed, "entry.js"), page);
    const outDir = path.join(installed, "vite");
    await build({
      root: installed,
      configFile: false,
      logLevel: "error",
      build: {
        outDir,
        lib: { entry: path.join(installed, "entry.js"), formats: ["es"], fileName: () => "bundle.mjs" },
      },
    });
    await assertRuns(path.join(outDir, "bundle.mjs"));
  });

  check("without ONNX Runtime it still inspects, and says what is missing where it is needed", async () => {
    await rm(path.join(installed, "node_modules/onnxruntime-node"), { recursive: true });
    assert.match(await penni("inspect", "model.onnx"), /Conv/);
    await assert.rejects(penni("eval", "model.onnx", "--data", "synthetic:50"), {
      message: /cannot be loaded.*onnxruntime-node.*npm install --ignore-scripts onnxruntime-node/,
    });
  });
});
