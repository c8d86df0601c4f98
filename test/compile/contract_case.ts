import type { KernelRates } from "../../src/compile/cost_model.js";
import { attributes as attributeMap } from "../../src/graph/attributes.js";
import type { Graph, Node, Tensor } from "../../src/graph/types.js";
import { tensorType } from "../../src/ops/inference/infer.js";
import { type CaseInput, type CaseNode, isConstant, sampleInput, seedOf } from "../../support/case_input.js";
import { randomSource } from "../../support/opcase.js";

/** A network on which all implementations must agree with ONNX Runtime. */
export interface ContractCase {
  readonly name: string;
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<string, Tensor>;
  /** Operators that it is about. */
  readonly ops: readonly string[];
  readonly rates: KernelRates;
}

export {
  type CaseInput,
  type CaseNode,
  constant,
  fed,
  omitted,
  outputOf,
  random,
  weight,
} from "../../support/case_input.js";

export interface CaseOptions {
  /** What is special about it. */
  readonly name?: string;
  /** Default 18. */
  readonly opset?: number;
  readonly rates?: KernelRates;
  /** Nodes whose outputs are compared, by number; default: the last. */
  readonly compared?: readonly number[];
}

/** As fast as each other: the least work wins. */
export const evenRates: KernelRates = { dense: 1, sparse: 1, basis: 1 };
/** Rates that make one kind of kernel win whatever the work. */
export const forcedRates = {
  dense: { dense: 1e9, sparse: 1e-9, basis: 1e-9 },
  sparse: { dense: 1e-9, sparse: 1e9, basis: 1e-9 },
  factored: { dense: 1e-9, sparse: 1, basis: 1e9 },
  /** Products are so dear that the form with the fewest wins, where it can be: Winograd's. */
  tiles: { dense: 1e-6, sparse: 1e-12, basis: 1e-12 },
} as const satisfies Readonly<Record<string, KernelRates>>;

/** What is drawn for an input: two random numbers an element, as a weight takes, so that cases keep their values. */
function draw(input: CaseInput, next: () => number): Tensor | undefined {
  const everyOther = (): number => {
    next();
    return next();
  };
  return sampleInput(input, input.kind === "weight" ? next : everyOther);
}

/** A case of one node. */
export function opCase(node: CaseNode, options: CaseOptions = {}): ContractCase {
  return networkCase([node], options);
}

/** A case of several nodes. */
export function networkCase(nodes: readonly CaseNode[], options: CaseOptions = {}): ContractCase {
  const { opset = 18, rates = evenRates, compared = [nodes.length - 1] } = options;
  const ops = [...new Set(nodes.map((node) => node.op))];
  const name = [ops.join(", "), options.name].filter((part) => part !== undefined).join(": ");
  const next = randomSource(seedOf(name));
  const feeds = new Map<string, Tensor>();
  const initializers = new Map<string, Tensor>();
  const named = (input: CaseInput, node: number, index: number): string => {
    if (input.kind === "omitted") return "";
    if (input.kind === "output") return `y${input.node}_${input.output}`;
    const tensor = draw(input, next);
    const target = isConstant(input) ? initializers : feeds;
    const value = `x${node}_${index}`;
    if (tensor !== undefined) target.set(value, tensor);
    return value;
  };
  const written = nodes.map(
    ({ op, inputs, attributes = {}, outputs = 1 }, at): Node => ({
      name: `node ${at}`,
      op,
      domain: "",
      inputs: inputs.map((input, index) => named(input, at, index)),
      outputs: Array.from({ length: outputs }, (_, output) => `y${at}_${output}`),
      attributes: attributeMap(attributes),
    }),
  );
  const graph: Graph = {
    name: "case",
    opsets: new Map([["", opset]]),
    inputs: [...feeds].map(([value, tensor]) => ({ name: value, type: tensorType(tensor) })),
    outputs: compared.flatMap((at) =>
      (written[at]?.outputs ?? []).map((value) => ({ name: value, type: undefined })),
    ),
    nodes: written,
    initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  };
  return { name, graph, feeds, ops, rates };
}
