import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
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
  writeNetwork(directory, graph, { target, emit });
  writeFileSync(path.join(directory, "main.c"), main);
  const { options, sources, libraries } = execution.build(network);
  execFileSync(compiler, [...options, ...sources, "main.c", ...libraries, "-o", "main"], { cwd: directory });
}

function writeNetwork(
  directory: string,
  graph: Graph,
  { target, emit }: Pick<Backend, "target" | "emit">,
): void {
  for (const { name, content } of emit(compileProgram(graph, target), { name: checkName(NETWORK) }))
    writeFileSync(path.join(directory, name), content);
}

/**
 * A network's object file without its names: what a program grows by that it is linked into.
 * @throws Error if the compiler is missing or fails
 */
export function objectFile(
  graph: Graph,
  compiler: string,
  { target, emit, execution }: Backend<LinkedExecution>,
): Uint8Array {
  const directory = mkdtempSync(path.join(tmpdir(), "penni-bench-object-"));
  try {
    writeNetwork(directory, graph, { target, emit });
    const { options, sources } = execution.build(checkName(NETWORK));
    execFileSync(compiler, [...options, "-c", ...sources, "-o", "network.o"], { cwd: directory });
    execFileSync("strip", ["--strip-unneeded", "network.o"], { cwd: directory });
    return new Uint8Array(readFileSync(path.join(directory, "network.o")));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
