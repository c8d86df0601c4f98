import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { buildAddon } from "../src/build/addon.js";
import type { CrossProcessor } from "../src/build/c_compiler.js";
import type { AddonBuild, AddonExecution } from "../src/compile/backend.js";
import { checkName } from "../src/compile/c/names.js";
import { compileProgram } from "../src/compile/compile.js";
import { backend } from "../src/compile/node/backend.js";
import type { Program } from "../src/compile/program.js";
import type { Graph } from "../src/graph/types.js";

/** For `test(name, { skip: withoutCompiler })`: false, or the reason to skip. */
export const withoutCompiler: string | false =
  spawnSync("cc", ["--version"]).status === 0 ? false : "needs a C compiler (cc), which is not installed";

export interface AddonOptions {
  /** Default: as it is shipped. */
  readonly execution?: AddonExecution;
  readonly cross?: CrossProcessor;
}

/** Compiles a program for the addon's target. */
export function addonProgram(graph: Graph): Program {
  return compileProgram(graph, backend.target);
}

/** Builds an addon in a directory; gives its path. Of each path a process loads the first that it finds there. */
export async function writeAddon(
  directory: string,
  name: string,
  program: Program,
  { execution = backend.execution, cross }: AddonOptions = {},
): Promise<string> {
  const checked = checkName(name);
  const { files } = await buildAddon(backend.emit(program, { name: checked }), execution, checked, cross);
  const [addon] = files;
  if (addon === undefined) throw new Error("no addon was built");
  const file = path.join(directory, addon.name);
  writeFileSync(file, addon.content);
  return file;
}

/** The shipped way to build, with other options. @param change of what is built for a processor */
export function changedExecution(
  change: (options: readonly string[]) => readonly string[],
  processor?: string,
): AddonExecution {
  return {
    kind: "addon",
    build: (name, machine): AddonBuild => {
      const build = backend.execution.build(name, { ...machine, ...(processor && { processor }) });
      const objects = build.objects.map((object) => ({ ...object, options: change(object.options) }));
      return { ...build, objects, link: change(build.link) };
    },
  };
}

/** Baseline code alone, hardly optimized: where it is not the code that is tested. */
export const quickExecution = changedExecution(
  (options) => options.map((option) => (option === "-O3" ? "-O1" : option)),
  "any",
);
