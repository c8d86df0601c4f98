import { C_LANES } from "../../src/compile/c/files.js";
import { compileProgram } from "../../src/compile/compile.js";
import type { Program } from "../../src/compile/program.js";
import { numericData, numericTensor } from "../../src/graph/tensor.js";
import type { Graph, Node, Tensor, ValueInfo } from "../../src/graph/types.js";
import { type Build, runInC } from "./c/support.js";
import type { ContractCase } from "./contract_case.js";
import type { Values } from "./run_wasm.js";

/** Cases that one program can hold: of one operator set, and with the same kernels in favour. */
function groupKey({ graph, rates }: ContractCase): string {
  return JSON.stringify([[...graph.opsets], rates]);
}

/** All cases of a group side by side, with the number of the case before every name. */
function unionOf(cases: readonly ContractCase[]): Graph {
  const named = cases.map(({ graph }, at) => {
    const rename = (name: string): string => (name === "" ? "" : `c${at}_${name}`);
    const info = (value: ValueInfo): ValueInfo => ({ ...value, name: rename(value.name) });
    const node = (given: Node): Node => ({
      ...given,
      name: rename(given.name),
      inputs: given.inputs.map(rename),
      outputs: given.outputs.map(rename),
    });
    return {
      inputs: graph.inputs.map(info),
      outputs: graph.outputs.map(info),
      nodes: graph.nodes.map(node),
      initializers: [...graph.initializers].map(([name, tensor]) => [rename(name), tensor] as const),
    };
  });
  return {
    name: "contract",
    opsets: cases[0]?.graph.opsets ?? new Map(),
    inputs: named.flatMap((part) => part.inputs),
    outputs: named.flatMap((part) => part.outputs),
    nodes: named.flatMap((part) => part.nodes),
    initializers: new Map(named.flatMap((part) => part.initializers)),
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

/** Some cases as one C program. */
export interface CaseGroup {
  readonly cases: readonly ContractCase[];
  readonly program: Program;
}

export function groupsOf(cases: readonly ContractCase[]): readonly CaseGroup[] {
  const byKey = new Map<string, ContractCase[]>();
  for (const contractCase of cases) {
    const key = groupKey(contractCase);
    byKey.set(key, [...(byKey.get(key) ?? []), contractCase]);
  }
  return [...byKey.values()].map((group) => {
    const [first] = group;
    if (first === undefined) throw new Error("an empty group");
    return { cases: group, program: compileProgram(unionOf(group), { width: C_LANES, rates: first.rates }) };
  });
}

/** What the C program of a group computes, case by case. */
export function runGroup({ cases, program }: CaseGroup, build: Build): readonly Values[] {
  const feeds = new Map<string, Tensor>();
  cases.forEach(({ feeds: given }, at) => {
    for (const [name, tensor] of given) {
      const floats = numericTensor("float32", tensor.dims, numericData(tensor));
      if (floats !== undefined) feeds.set(`c${at}_${name}`, floats);
    }
  });
  const outputs = runInC(program, feeds, build);
  return cases.map(
    ({ graph }, at) =>
      new Map(
        graph.outputs.map(({ name }) => {
          const tensor = outputs.get(`c${at}_${name}`);
          const elements = tensor === undefined ? [] : numericData(tensor);
          return [name, Float32Array.from(elements)] as const;
        }),
      ),
  );
}
