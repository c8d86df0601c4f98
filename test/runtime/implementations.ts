import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import type { Program } from "../../src/compile/program.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import type { Graph } from "../../src/graph/types.js";
import type { Source } from "../../src/runtime/index.js";
import { addonProgram, quickExecution, withoutCompiler, writeAddon } from "../../support/addon.js";

/** What `load` gives a model of: whatever it is, the model behaves the same. */
export interface Implementation {
  readonly name: string;
  readonly skip: string | false;
  /** A compiled network. @param change of the program before it is printed */
  source(graph: Graph, change?: (program: Program) => Program): Promise<Source>;
}

const folder = mkdtempSync(path.join(tmpdir(), "penni-implementations-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const asItIs = (program: Program): Program => program;
let addons = 0;

export const implementations: readonly Implementation[] = [
  {
    name: "WebAssembly",
    skip: false,
    source: async (graph, change = asItIs) => wasmModule(change(compileProgram(graph, wasmTarget))),
  },
  {
    name: "an addon",
    skip: withoutCompiler,
    source: (graph, change = asItIs) => {
      addons += 1;
      const options = { execution: quickExecution };
      return writeAddon(folder, `addon${addons}`, change(addonProgram(graph)), options);
    },
  },
];
