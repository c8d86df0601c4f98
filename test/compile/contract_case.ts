import type { KernelRates } from "../../src/compile/cost_model.js";
import { attributes as attributeMap } from "../../src/graph/attributes.js";
import { elementCount, float32Tensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Node, Tensor } from "../../src/graph/types.js";
import { tensorType } from "../../src/ops/inference/infer.js";
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

/** An input of a node. */
export type CaseInput =
  | { readonly kind: "random"; readonly dims: readonly number[]; readonly low: number; readonly high: number }
  /** An initializer; `zeros`: share of its elements that are 0. */
  | {
      readonly kind: "weight";
      readonly dims: readonly number[];
      readonly zeros: number;
      readonly low: number;
      readonly high: number;
    }
  | { readonly kind: "fed" | "constant"; readonly tensor: Tensor }
  /** The first output of an earlier node of the case. */
  | { readonly kind: "output"; readonly node: number; readonly output: number }
  | { readonly kind: "omitted" };

export const random = (dims: readonly number[], low = -2, high = 2): CaseInput => ({
  kind: "random",
  dims,
  low,
  high,
});
export const weight = (dims: readonly number[], zeros = 0, low = -1, high = 1): CaseInput => ({
  kind: "weight",
  dims,
  zeros,
  low,
  high,
});
export const fed = (tensor: Tensor): CaseInput => ({ kind: "fed", tensor });
export const constant = (tensor: Tensor): CaseInput => ({ kind: "constant", tensor });
export const outputOf = (node: number, output = 0): CaseInput => ({ kind: "output", node, output });
export const omitted: CaseInput = { kind: "omitted" };

/** One node of a case; it may read the outputs of those before it. */
export interface CaseNode {
  readonly op: string;
  readonly inputs: readonly CaseInput[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Default 1. */
  readonly outputs?: number;
}

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
} as const satisfies Readonly<Record<string, KernelRates>>;

function seedOf(text: string): number {
  return [...text].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619), 2166136261);
}

function draw(input: CaseInput, next: () => number): Tensor | undefined {
  if (input.kind === "fed" || input.kind === "constant") return input.tensor;
  if (input.kind !== "random" && input.kind !== "weight") return undefined;
  const { dims, low, high } = input;
  const zeros = input.kind === "weight" ? input.zeros : 0;
  const element = (): number => (next() < zeros ? 0 : low + (high - low) * next());
  return float32Tensor(dims, Array.from({ length: elementCount(dims) }, element));
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
    const target = input.kind === "random" || input.kind === "fed" ? feeds : initializers;
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
