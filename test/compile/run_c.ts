import { cTarget } from "../../src/compile/c/target.js";
import { compileProgram } from "../../src/compile/compile.js";
import type { Location, Port, Program, Buffer as ProgramBuffer } from "../../src/compile/program.js";
import { numericData, numericTensor } from "../../src/graph/tensor.js";
import type { Tensor } from "../../src/graph/types.js";
import { type Build, runInC } from "./c/support.js";
import type { ContractCase } from "./contract_case.js";
import type { Values } from "./run_wasm.js";

export const inCase = (at: number, name: string): string => `c${at}_${name}`;

/** Programs one after the other, as one; ports have the number of their program before their names. */
export function joinedPrograms(programs: readonly Program[]): Program {
  const preparation: Program["steps"][number][] = [];
  const steps: Program["steps"][number][] = [];
  const weightOffsets = new Map<number, number>();
  const inputs: Port[] = [];
  const outputs: Port[] = [];
  let weightBytes = 0;
  let ids = 0;
  programs.forEach((program, at) => {
    const first = ids;
    const moved = (buffer: ProgramBuffer): ProgramBuffer => {
      ids = Math.max(ids, first + buffer.id + 1);
      return { ...buffer, id: first + buffer.id };
    };
    const location = ({ buffer, offset }: Location): Location => ({ buffer: moved(buffer), offset });
    const port = (given: Port): Port => ({
      ...given,
      name: inCase(at, given.name),
      buffer: moved(given.buffer),
    });
    inputs.push(...program.inputs.map(port));
    outputs.push(...program.outputs.map(port));
    const movedSteps = (given: Program["steps"]): Program["steps"] =>
      given.map((step) => ({ ...step, arguments: step.arguments.map(location) }));
    preparation.push(...movedSteps(program.preparation));
    steps.push(...movedSteps(program.steps));
    for (const [id, offset] of program.weightOffsets) {
      weightOffsets.set(first + id, weightBytes + offset);
      ids = Math.max(ids, first + id + 1);
    }
    weightBytes += program.weights.length;
  });
  const weights = new Uint8Array(weightBytes);
  programs.reduce((offset, program) => {
    weights.set(program.weights, offset);
    return offset + program.weights.length;
  }, 0);
  return {
    name: "contract",
    inputs,
    outputs,
    preparation,
    steps,
    weights,
    weightOffsets,
    metadata: new Map(),
  };
}

/** What one C program of all cases computes, case by case. */
export function runCasesInC(cases: readonly ContractCase[], build: Build): readonly Values[] {
  const feeds = new Map<string, Tensor>();
  cases.forEach(({ feeds: given }, at) => {
    for (const [name, tensor] of given) {
      const floats = numericTensor("float32", tensor.dims, numericData(tensor));
      if (floats !== undefined) feeds.set(inCase(at, name), floats);
    }
  });
  const programs = cases.map(({ graph, rates }) => compileProgram(graph, { ...cTarget, rates }));
  const outputs = runInC(joinedPrograms(programs), feeds, build);
  return cases.map(({ graph }, at) => {
    const values = graph.outputs.map(({ name }) => {
      const tensor = outputs.get(inCase(at, name));
      return [name, Float32Array.from(tensor === undefined ? [] : numericData(tensor))] as const;
    });
    return new Map(values);
  });
}
