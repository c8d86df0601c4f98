import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { cFiles } from "../../src/compile/c/files.js";
import { compileProgram, type Target } from "../../src/compile/compile.js";
import type { Graph } from "../../src/graph/types.js";

/** The name under which `writeCProgram` compiles a network: NETWORK_INPUT_ELEMENTS, network_run, ... */
export const NETWORK = "network";

/**
 * Compiles a network of one input and one output together with a main program, with -O3 -march=native, as `main`.
 * @param main C source that includes network.h
 * @throws Error if the compiler is missing or fails
 */
export function writeCProgram(
  directory: string,
  graph: Graph,
  main: string,
  compiler: string,
  target: Target,
): void {
  const program = compileProgram(graph, target);
  for (const { name, content } of cFiles(program, { name: NETWORK, weights: "inside", example: false })) {
    writeFileSync(path.join(directory, name), content);
  }
  writeFileSync(path.join(directory, "main.c"), main);
  execFileSync(compiler, ["-O3", "-march=native", `${NETWORK}.c`, "main.c", "-lm", "-o", "main"], {
    cwd: directory,
  });
}
