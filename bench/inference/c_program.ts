import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Backend, LinkedExecution } from "../../src/compile/backend.js";
import { checkName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import type { Graph } from "../../src/graph/types.js";

/** The name under which `writeCProgram` compiles a network: NETWORK_INPUT_ELEMENTS, network_run, ... */
export const NETWORK = "network";

/**
 * Compiles a network of one input and one output together with a main program, as fast as it gets, as `main`.
 * @param main C source that includes network.h
 * @throws Error if the compiler is missing or fails
 */
export function writeCProgram(
  directory: string,
  graph: Graph,
  main: string,
  compiler: string,
  { target, emit, execution }: Backend<LinkedExecution>,
): void {
  const network = checkName(NETWORK);
  for (const { name, content } of emit(compileProgram(graph, target), { name: network })) {
    writeFileSync(path.join(directory, name), content);
  }
  writeFileSync(path.join(directory, "main.c"), main);
  const { options, sources, libraries } = execution.build(network);
  execFileSync(compiler, [...options, ...sources, "main.c", ...libraries, "-o", "main"], { cwd: directory });
}
