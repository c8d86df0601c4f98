import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { findCompiler, type Host } from "../../src/build/c_compiler.js";
import { compileToAddon } from "../../src/build/compile_to_addon.js";
import { checkName } from "../../src/compile/c/names.js";
import { backend } from "../../src/compile/node/backend.js";
import { writeModel } from "../../src/files/model_files.js";
import { PenniError } from "../../src/graph/errors.js";
import { load } from "../../src/runtime/index.js";
import { addonProgram, withoutCompiler, writeAddon } from "../../support/addon.js";
import { penni } from "../../support/command_line.js";
import { smallNetwork } from "../../support/small_models.js";
import { tinyCnn } from "../../support/tiny_cnn.js";
import { skipOf, withoutCommand } from "../compile/c/support.js";
import "../compile/self_checked.js";
import { largestDifference, randomData, referenceOutput } from "../runtime/support.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-compilers-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A directory with programs that say that they are compilers for these machines. */
function programs(machines: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(path.join(folder, "bin-"));
  for (const [name, machine] of Object.entries(machines)) {
    const file = path.join(directory, name);
    writeFileSync(
      file,
      `#!/bin/sh\ncase "$*" in *-dumpmachine*) echo ${machine};; *) echo "${name} 1.0: $*"; echo more;; esac\n`,
    );
    chmodSync(file, 0o755);
  }
  return directory;
}

const host = (
  machines: Readonly<Record<string, string>>,
  more: Partial<Host> & { CC?: string } = {},
): Host => {
  const { CC, ...rest } = more;
  return {
    platform: "linux",
    environment: { PATH: programs(machines), ...(CC === undefined ? {} : { CC }) },
    ...rest,
  };
};

const x86 = "x86_64-linux-gnu";
const arm = "aarch64-linux-gnu";

describe("the C compiler", { skip: process.platform === "win32" ? "needs a shell" : false }, () => {
  test("is the one that CC names, with what it names besides; else cc, gcc, clang, in this order", async () => {
    const all = { cc: x86, gcc: x86, clang: x86, mine: "arm64-apple-darwin23.1" };
    assert.deepEqual((await findCompiler(undefined, host(all))).command, ["cc"]);
    assert.deepEqual((await findCompiler(undefined, host({ gcc: x86, clang: x86 }))).command, ["gcc"]);
    const found = await findCompiler(undefined, host({ clang: x86 }));
    assert.deepEqual(found, {
      command: ["clang"],
      version: "clang 1.0: --version",
      machine: { processor: "x86_64", isApple: false },
    });
    const stated = await findCompiler(undefined, host(all, { CC: " mine  --fast " }));
    assert.deepEqual(stated.command, ["mine", "--fast"]);
    assert.equal(stated.version, "mine 1.0: --fast --version");
    assert.deepEqual(stated.machine, { processor: "aarch64", isApple: true });
    assert.deepEqual((await findCompiler(undefined, host(all, { CC: "" }))).command, ["cc"]);
  });

  test("for another processor is the one that is made for it", async () => {
    const all = { cc: x86, "aarch64-linux-gnu-gcc": arm, "x86_64-linux-gnu-gcc": x86, other: arm };
    assert.deepEqual((await findCompiler("aarch64", host(all))).command, ["aarch64-linux-gnu-gcc"]);
    assert.deepEqual((await findCompiler("aarch64", host(all, { CC: "other" }))).command, ["other"]);
    assert.deepEqual((await findCompiler("aarch64", host(all, { CC: "cc" }))).command, [
      "aarch64-linux-gnu-gcc",
    ]);
    assert.deepEqual((await findCompiler("x86_64", host({ cc: x86 }))).command, ["cc"]);
  });

  const refusals: readonly (readonly [string, () => ReturnType<typeof findCompiler>, RegExp])[] = [
    [
      "none",
      () => findCompiler(undefined, host({})),
      /^there is no C compiler, which --target node needs: expected cc, or gcc, or clang, found none that runs\. Install one: apt-get install gcc libc6-dev .*CC$/,
    ],
    [
      "none on a Mac",
      () => findCompiler(undefined, host({}, { platform: "darwin" })),
      /Install one: xcode-select --install; or name it/,
    ],
    [
      "CC names none, whatever else is there",
      () => findCompiler(undefined, host({ cc: x86 }, { CC: "none -m64" })),
      /expected none -m64, found none that runs/,
    ],
    [
      "none for another processor",
      () => findCompiler("aarch64", host({ cc: x86 })),
      /no C compiler for aarch64.*expected aarch64-linux-gnu-gcc, or cc, .*found cc for x86_64\. Install one: apt-get install gcc-aarch64-linux-gnu/,
    ],
    [
      "Windows",
      () => findCompiler(undefined, host({ cc: x86 }, { platform: "win32" })),
      /not built on Windows: expected Linux or macOS.*WSL.*--target wasm/,
    ],
  ];
  for (const [what, find, message] of refusals) {
    test(`is missed clearly: ${what}`, async () => {
      await assert.rejects(find(), (error) => {
        assert.ok(error instanceof PenniError && error.code === "unsupported");
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

test("on a Mac an addon is linked as one there", () => {
  const { link, instructionSets } = backend.execution.build(checkName("net"), {
    processor: "aarch64",
    isApple: true,
  });
  assert.deepEqual(link.slice(0, 3), ["-bundle", "-undefined", "dynamic_lookup"]);
  assert.deepEqual(instructionSets, ["baseline"]);
});

describe("penni compile --target node", { skip: withoutCompiler }, () => {
  const model = path.join(folder, "net.onnx");
  const environment = (more: Readonly<Record<string, string>>, work: () => Promise<void>): Promise<void> => {
    const before = { ...process.env };
    Object.assign(process.env, more);
    return work().finally(() => {
      for (const name of Object.keys(more)) delete process.env[name];
      Object.assign(process.env, before);
    });
  };

  test("a compiler that fails is named with what it says, and nothing is written", async () => {
    await writeModel(model, smallNetwork());
    const bin = programs({});
    writeFileSync(
      path.join(bin, "bad"),
      `#!/bin/sh\ncase "$*" in *-dumpmachine*) echo ${x86};; *--version*) echo "bad 3";; *) echo "a.c:1:10: fatal error: stdint.h: No such file or directory" >&2; exit 1;; esac\n`,
    );
    chmodSync(path.join(bin, "bad"), 0o755);
    await environment({ CC: path.join(bin, "bad") }, async () => {
      const out = path.join(folder, "bad");
      const { status, stderr } = await penni(["compile", model, "--target", "node", "-o", out]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^penni: .*net\.onnx: the C compiler fails: found bad 3: a\.c:1:10: fatal error: stdint\.h.*libc6-dev/,
      );
      assert.throws(() => readFileSync(out));
    });
  });

  test("clang builds it too", { skip: skipOf({ compiler: "clang", flags: [] }) }, () =>
    environment({ CC: "clang" }, async () => {
      const out = path.join(folder, "clang");
      await writeModel(model, smallNetwork());
      const { status, stdout, stderr } = await penni([
        "compile",
        model,
        "--target",
        "node",
        "-o",
        out,
        "--json",
      ]);
      assert.deepEqual([status, stderr], [0, ""]);
      assert.match(JSON.parse(stdout).builtWith.compiler, /clang/);
      const code = `const { create } = require(${JSON.stringify(path.join(out, "net.node"))});
        const y = new Float32Array(5); create().run([new Float32Array(128)], [y], 1); console.log(y.length);`;
      assert.equal(spawnSync(process.execPath, ["-e", code], { encoding: "utf8" }).stdout.trim(), "5");
    }),
  );

  test("the library's function gives the same bytes, the same each time", async () => {
    const out = path.join(folder, "by-command");
    await writeModel(model, smallNetwork());
    const { status, stderr } = await penni(["compile", model, "--target", "node", "-o", out]);
    assert.equal(status, 0, stderr);
    const made = await compileToAddon(smallNetwork(), { name: "net" });
    assert.deepEqual(made, new Uint8Array(readFileSync(path.join(out, "net.node"))));
    await assert.rejects(compileToAddon(smallNetwork(), { name: "a b" }), /cannot be used for files of C/);
  });

  const cross = "aarch64-linux-gnu-gcc";
  test("--cross aarch64: an addon of that machine, whose kernels compute right under qemu", {
    skip: skipOf({ compiler: cross, flags: [] }) || withoutCommand("qemu-aarch64"),
  }, async () => {
    const program = addonProgram(tinyCnn());
    const file = await writeAddon(folder, "crossed", program, { cross: "aarch64" });
    const bytes = readFileSync(file);
    assert.equal(bytes.readUInt16LE(18), 183, "EM_AARCH64");
    await writeModel(model, smallNetwork());
    const out = path.join(folder, "crossed-by-command");
    const command = await penni([
      "compile",
      model,
      "--target",
      "node",
      "--cross",
      "aarch64",
      "-o",
      out,
      "--json",
    ]);
    assert.equal(command.status, 0, command.stderr);
    const { compiler, ...builtWith } = JSON.parse(command.stdout).builtWith;
    assert.match(compiler, /aarch64/);
    assert.deepEqual(builtWith, { processor: "aarch64", instructionSets: ["baseline"] });
    // Here it is refused, by the system.
    if (process.arch === "x64")
      await assert.rejects(load(path.join(out, "net.node")), /cannot load .*net\.node, an addon for Node: /);
    const undefinedNames = spawnSync("aarch64-linux-gnu-nm", ["-D", "--undefined-only", file], {
      encoding: "utf8",
    });
    for (const line of undefinedNames.stdout
      .trim()
      .split("\n")
      .filter((each) => !each.includes("@")))
      assert.match(line, /napi_|__cxa_finalize|_ITM_|__gmon_start__/, "what Node does not have");

    // The same kernels in a program of their own: there is no Node for it here.
    const name = checkName("crossed");
    const directory = mkdtempSync(path.join(folder, "cross-"));
    const emitted = backend.emit(program, { name });
    for (const { name: source, content } of emitted) writeFileSync(path.join(directory, source), content);
    const run = (command: string, args: readonly string[], input?: Uint8Array): Buffer => {
      const result = spawnSync(command, args, { cwd: directory, ...(input && { input }) });
      assert.equal(result.status, 0, result.stderr.toString());
      return result.stdout;
    };
    const build = backend.execution.build(name, { processor: "aarch64", isApple: false });
    for (const { options, needsHeaders } of build.objects) if (!needsHeaders) run(cross, options);
    writeFileSync(
      path.join(directory, "main.c"),
      `#include "crossed.h"
#include <stdio.h>
#include <stdlib.h>
void crossed_run_baseline(const float *, float *, void *, const void *);
static float input[CROSSED_INPUT_ELEMENTS], output[CROSSED_OUTPUT_ELEMENTS];
static _Alignas(64) unsigned char scratch[CROSSED_SCRATCH_BYTES], weights[CROSSED_WEIGHTS_BYTES];
int main(void) {
  FILE *file = fopen("crossed_data.bin", "rb");
  if (fread(weights, 1, sizeof weights, file) != sizeof weights) return 2;
  if (fread(input, 1, sizeof input, stdin) != sizeof input) return 3;
  crossed_run_baseline(input, output, scratch, weights);
  fwrite(output, 1, sizeof output, stdout);
  return 0;
}
`,
    );
    run(cross, ["-static", "main.c", "crossed_baseline.o", "-lm", "-o", "main"]);
    const data = randomData(3 * 16 * 16, 9);
    const found = run("qemu-aarch64", ["./main"], new Uint8Array(data.buffer));
    const values = new Float32Array(new Uint8Array(found).buffer);
    assert.ok(largestDifference(values, await referenceOutput(tinyCnn(), [1, 3, 16, 16], data)) < 1e-4);
  });
});
