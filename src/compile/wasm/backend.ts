import type { Backend, EmittedFile, ModuleExecution } from "../backend.js";
import { wasmExample } from "./example.js";
import { exampleParts } from "./example_parts.js";
import { modulePorts, stepExport, wasmModule } from "./module.js";
import { wasmTarget } from "./target.js";

/** A module for browsers, Node and Deno. */
export const backend: Backend<ModuleExecution> = {
  target: wasmTarget,
  weightPlaces: [],
  exampleParts,
  emit: (program, { name, example }) => {
    const module = wasmModule(program);
    const file: EmittedFile = { name: `${name}.wasm`, content: module };
    return example === undefined ? [file] : [file, ...wasmExample(name, module, program, example)];
  },
  execution: { kind: "module", module: wasmModule, ports: modulePorts, stepName: stepExport },
};
