import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CFileOptions, cFiles } from "../../../src/compile/c/files.js";
import { checkName } from "../../../src/compile/c/names.js";
import { namePorts } from "../../../src/compile/c/ports.js";
import { cTarget } from "../../../src/compile/c/target.js";
import { packedForC } from "../../../src/compile/c/unpack.js";
import { compileProgram } from "../../../src/compile/compile.js";
import type { Program } from "../../../src/compile/program.js";
import { float32Data, float32Tensor } from "../../../src/graph/tensor.js";
import type { Graph, Tensor } from "../../../src/graph/types.js";

/** What issue 5 promises to compile without a warning under, and -Wpedantic. */
export const WARNINGS = "-std=c99 -Wall -Wextra -Werror -Wconversion -Wpedantic".split(" ");

export const SANITIZERS = "-g -fsanitize=address,undefined -fno-sanitize-recover=all".split(" ");

/** For `test(name, { skip: withoutCommand("gcc") }, ...)`: false, or the reason to skip. */
export function withoutCommand(command: string): string | false {
  return spawnSync(command, ["--version"]).status === 0 ? false : `needs ${command}, which is not installed`;
}

/** Whether this machine's processor has what -mavx2 -mfma asks for. */
export function withoutAvx2(): string | false {
  try {
    const flags = readFileSync("/proc/cpuinfo", "utf8");
    if (/\bavx2\b/.test(flags) && /\bfma\b/.test(flags)) return false;
  } catch {
    // Not Linux.
  }
  return "needs a processor with AVX2 and FMA";
}

const linking = new Map<string, boolean>();

/**
 * A compiler may be there without the libraries that it links with: Debian installs those of Clang's sanitizers, and a
 * cross compiler's C library, apart.
 */
function canLink(compiler: string, flags: readonly string[]): boolean {
  const link = [...flags, "-x", "c", "-", "-o", "/dev/null", "-lm"];
  const key = [compiler, ...link].join(" ");
  const known = linking.get(key);
  if (known !== undefined) return known;
  const source = "#include <math.h>\n#include <stdio.h>\nint main(void) { return 0; }\n";
  const works = spawnSync(compiler, link, { input: source }).status === 0;
  linking.set(key, works);
  return works;
}

/** For `test(name, { skip: skipOf(build) }, ...)`: false, or why this machine cannot make or run the build. */
export function skipOf({ compiler, flags }: Build): string | false {
  const reason = withoutCommand(compiler) || (flags.includes("-mavx2") && withoutAvx2());
  if (reason !== false) return reason;
  return canLink(compiler, flags) ? false : `needs the libraries of ${compiler} for ${flags.join(" ")}`;
}

export function compileForC(graph: Graph): Program {
  return compileProgram(graph, cTarget);
}

export const NAME = "small";

/** A directory with the files of a program, removed afterwards. */
export function inDirectory<Result>(
  program: Program,
  options: Partial<CFileOptions>,
  work: (directory: string) => Result,
): Result {
  const directory = mkdtempSync(path.join(tmpdir(), "penni-c-"));
  try {
    const files = cFiles(program, { name: NAME, weights: "inside", example: false, ...options });
    for (const { name, content } of files) writeFileSync(path.join(directory, name), content);
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Runs a command that must succeed and say nothing on stderr; gives what it wrote. */
export function command(
  directory: string,
  name: string,
  parameters: readonly string[],
  input?: Uint8Array,
): Buffer {
  const result = spawnSync(name, [...parameters], {
    cwd: directory,
    maxBuffer: 2 ** 28,
    ...(input === undefined ? {} : { input }),
  });
  const problem = result.error?.message ?? result.stderr.toString().slice(0, 4000);
  assert.equal(problem, "", `${name} ${parameters.join(" ")}`);
  assert.equal(
    result.status,
    0,
    `${name} ${parameters.join(" ")} ended with ${result.signal ?? result.status}`,
  );
  return result.stdout;
}

export interface Build {
  readonly compiler: string;
  readonly flags: readonly string[];
  readonly weights?: CFileOptions["weights"];
  /** What runs the program, as an emulator. */
  readonly runner?: readonly string[];
}

/**
 * What the compiled network makes of inputs, in the order of the program's outputs. It runs twice, in a scratch that is
 * full of NaN the first time and of huge numbers the second, and must give the same bits. Every pointer gets exactly
 * as many bytes as the header says.
 */
export function runInC(
  program: Program,
  inputs: ReadonlyMap<string, Tensor>,
  build: Build,
): Map<string, Tensor> {
  const { compiler, flags, weights = "inside", runner = [] } = build;
  return inDirectory(program, { weights }, (directory) => {
    writeFileSync(path.join(directory, "main.c"), harness(program, weights));
    const sources = [`${NAME}.c`, "main.c", ...(weights === "separate" ? [`${NAME}_weights.c`] : [])];
    command(directory, compiler, [...WARNINGS, ...flags, ...sources, "-o", "run", "-lm"]);
    const data = program.inputs.map(({ name }) => {
      const tensor = inputs.get(name);
      assert.ok(tensor, `input ${name}`);
      const { buffer, byteOffset, byteLength } = float32Data(tensor);
      return Buffer.from(buffer, byteOffset, byteLength);
    });
    const [first = "", ...rest] = [...runner, path.join(directory, "run")];
    return outputsFrom(program, command(directory, first, rest, Buffer.concat(data)));
  });
}

function outputsFrom(program: Program, bytes: Buffer): Map<string, Tensor> {
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  let from = 0;
  const outputs = program.outputs.map(({ name, dims, buffer }) => {
    from += buffer.size;
    return [name, float32Tensor(dims, all.slice(from - buffer.size, from))] as const;
  });
  assert.equal(from, all.length, "elements of all outputs");
  return new Map(outputs);
}

function harness(program: Program, weights: CFileOptions["weights"]): string {
  const prefix = checkName(NAME.toUpperCase());
  const { inputs, outputs } = namePorts(program, prefix);
  const bytes = (macro: string): string => `${macro}_ELEMENTS * sizeof(float)`;
  const pointers = [...inputs, ...outputs].map(({ parameter }) => parameter);
  const packed = packedForC(program);
  const takes = weights === "binary" || packed !== undefined;
  const [file, fileBytes] =
    packed === undefined ? ["weights", `${prefix}_WEIGHTS_BYTES`] : ["packed", `${prefix}_PACKED_BYTES`];
  // Weights that are constants, or lie as they are in a file, leave what is made of them to memory of its own.
  const prepares = packed === undefined && program.preparation.length > 0;
  const memories = [...(takes ? ["weights"] : []), ...(prepares ? ["prepared"] : [])];
  const run = [...pointers, "scratch", ...memories].join(", ");
  return `#include "${NAME}.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  static const int poison[2] = {0xff, 0x7f};
${inputs.map(({ parameter, macro }) => `  float *${parameter} = malloc(${bytes(macro)}), *${parameter}_copy = malloc(${bytes(macro)});`).join("\n")}
${outputs.map(({ parameter, macro }) => `  float *${parameter} = malloc(${bytes(macro)}), *${parameter}_copy = malloc(${bytes(macro)});`).join("\n")}
  const size_t scratch_bytes = ${prefix}_SCRATCH_BYTES;
  void *scratch = malloc(scratch_bytes);
${inputs
  .map(
    ({
      parameter,
      macro,
    }) => `  if (fread(${parameter}, 1, ${bytes(macro)}, stdin) != ${bytes(macro)}) return 3;
  memcpy(${parameter}_copy, ${parameter}, ${bytes(macro)});`,
  )
  .join("\n")}
${takes ? `  void *weights = malloc(${prefix}_WEIGHTS_BYTES);` : ""}
${packed !== undefined && weights === "binary" ? `  void *packed = malloc(${fileBytes});` : ""}
${
  weights === "binary"
    ? `  FILE *file = fopen("${NAME}_weights.bin", "rb");
  if (file == NULL || fread(${file}, 1, ${fileBytes}, file) != ${fileBytes}) return 4;
  if (fgetc(file) != EOF) return 5;
  fclose(file);`
    : ""
}
${packed === undefined ? "" : weights === "binary" ? `  ${NAME}_unpack(packed, weights);\n  free(packed);` : `  ${NAME}_unpack(weights);`}
${
  prepares
    ? `  void *prepared = malloc(${prefix}_PREPARED_BYTES);
  memset(prepared, 0xff, ${prefix}_PREPARED_BYTES);
  ${NAME}_prepare(${memories.join(", ")});`
    : ""
}
  for (int run = 0; run < 2; run++) {
    memset(scratch, poison[run], scratch_bytes);
${outputs.map(({ parameter, macro }) => `    memset(${parameter}, poison[run], ${bytes(macro)});`).join("\n")}
    ${NAME}_run(${run});
${outputs
  .map(
    ({ parameter, macro }) => `    if (run == 0) memcpy(${parameter}_copy, ${parameter}, ${bytes(macro)});
    if (memcmp(${parameter}_copy, ${parameter}, ${bytes(macro)}) != 0) return 6;`,
  )
  .join("\n")}
${inputs.map(({ parameter, macro }) => `    if (memcmp(${parameter}_copy, ${parameter}, ${bytes(macro)}) != 0) return 7;`).join("\n")}
  }
${outputs.map(({ parameter, macro }) => `  fwrite(${parameter}, 1, ${bytes(macro)}, stdout);`).join("\n")}
${[...pointers, ...pointers.map((name) => `${name}_copy`), "scratch"].map((name) => `  free(${name});`).join("\n")}
${memories.map((memory) => `  free(${memory});`).join("\n")}
  return 0;
}
`;
}
