import assert from "node:assert/strict";
import fc from "fast-check";
import { runGraph } from "../src/execute/node.js";
import { float, int } from "../src/graph/attributes.js";
import { elementCount, float32Data, float32Tensor } from "../src/graph/tensor.js";
import type { Graph, Tensor } from "../src/graph/types.js";
import { layerChannels, shrink } from "../src/method/shrink.js";
import { verifyTypes } from "../src/ops/inference/verify.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { assertNearOutputs, Network } from "./network.js";
import { randomSource } from "./opcase.js";
import {
  grow,
  headsOf,
  type Instruction,
  instruction,
  type Step,
  simpleHead,
  trainableSteps,
} from "./random_network.js";
import { richSteps } from "./random_steps.js";
import { wallSteps } from "./random_walls.js";
import { withZeros, type ZeroShares } from "./random_zeros.js";

/** Everything that one random network and its shrinking are made from. */
export interface ShrinkCase {
  readonly seed: number;
  readonly opset: number;
  /** Whether the batch of 2 is written into the inputs' shapes. */
  readonly fixedBatch: boolean;
  /** As for `shrink`. */
  readonly multiple: number;
  /** Whether the network is simplified first, as a run does. */
  readonly simplified: boolean;
  readonly zeros: ZeroShares;
  readonly program: readonly Instruction[];
  readonly heads: readonly Instruction[];
}

const share = fc.constantFrom(0, 0.2, 0.5);

export const shrinkCase: fc.Arbitrary<ShrinkCase> = fc.record({
  seed: fc.nat(),
  opset: fc.constantFrom(17, 13, 18, 21),
  fixedBatch: fc.boolean(),
  multiple: fc.constantFrom(1, 1, 1, 4),
  simplified: fc.boolean(),
  zeros: fc.record({
    outputs: share,
    inputs: share,
    last: share,
    elements: fc.constantFrom(0, 0.5, 0.9),
  }),
  program: fc.array(instruction, { minLength: 1, maxLength: 12 }),
  heads: fc.array(instruction, { minLength: 1, maxLength: 3 }),
});

const BATCH = 2;
/** Most steps are ordinary ones: behind a wall there is nothing to test. */
const steps: readonly Step[] = [...trainableSteps, ...richSteps, ...richSteps, ...wallSteps.slice(0, -1)];

/** Features from a map by Flatten or Reshape. */
const features: Step = ({ net }, x, at) => {
  if (at.dead[0] === true) return net.op("Flatten", [x], { axis: int(at.flag ? -3 : 1) });
  const perImage = elementCount((net.b.types.get(x)?.shape ?? []).slice(1).map(Number));
  return net.op("Reshape", [x, net.b.axes(at.flag ? [0, -1] : [-1, perImage])]);
};

/** Fully connected layers in all their forms. */
const classifier: Step = (state, x, at) => {
  const { net } = state;
  const flat = features(state, at.dead[1] === true ? net.op("GlobalAveragePool", [x]) : x, at) as string;
  const hidden = net.relu(net.norm(product(net, flat, 5, at)));
  const logits = product(net, hidden, 3, { ...at, dead: at.dead.toReversed() });
  return at.dead[2] === true ? [net.op("Softmax", [logits], { axis: int(1) }), hidden] : logits;
};

function product(net: Network, x: string, outputs: number, at: Instruction): string {
  const inputs = net.channels(x);
  const bound = Math.sqrt(3 / inputs);
  if (at.dead[3] === true) {
    const multiplied = net.op("MatMul", [x, net.parameter("matrix", [inputs, outputs], -bound, bound)]);
    return at.flag ? multiplied : net.op("Add", [multiplied, net.parameter("offset", [outputs])]);
  }
  const transposed = at.dead[4] === true;
  const matrix = net.parameter("matrix", transposed ? [outputs, inputs] : [inputs, outputs], -bound, bound);
  const offset = net.parameter("offset", at.dead[5] === true ? [1, outputs] : [outputs]);
  return net.op("Gemm", at.flag ? [x, matrix] : [x, matrix, offset], {
    transB: int(transposed ? 1 : 0),
    ...(at.dead[6] === true ? { alpha: float(0.5), beta: float(2) } : {}),
  });
}

/** A map in the middle is an output as it stands. */
const bare: Step = (_, x) => x;

const heads: readonly Step[] = [simpleHead, classifier, classifier, bare];

export interface BuiltCase {
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

export function buildCase(given: ShrinkCase): BuiltCase {
  const batch = given.fixedBatch ? BATCH : "batch";
  const net = new Network(given.seed, [3, 6, 6], given.opset, [batch, 3, 6, 6]);
  const other = { name: "y", type: { elementType: "float32" as const, shape: [batch, 2, 6, 6] } };
  net.b.declare(other.name, other.type);
  const state = grow(net, given.program, steps);
  const grown = net.graph(headsOf(state, given.heads, heads));
  const readsOther = grown.nodes.some((node) => node.inputs.includes(other.name));
  const declared = grown.nodes
    .flatMap((node) => node.outputs)
    .flatMap((name) => {
      const type = net.b.types.get(name);
      return type === undefined || name === "" ? [] : [[name, { name, type }] as const];
    });
  const graph: Graph = {
    ...grown,
    opsets: new Map([...grown.opsets, ["com.microsoft", 1]]),
    inputs: readsOther ? [...grown.inputs, other] : grown.inputs,
    valueInfo: new Map(declared),
  };
  const feeds = new Map(net.feeds(BATCH));
  if (readsOther) feeds.set(other.name, float32Tensor([BATCH, 2, 6, 6], net.uniform(BATCH * 72)));
  return { graph: withZeros(graph, given.zeros, randomSource(given.seed + 1)), feeds };
}

export interface CaseResult {
  /** "compared" unless the network itself is useless: the runtime refuses it, or its outputs are not finite. */
  readonly kind: "compared" | "refused" | "not finite";
  /** Input channels times output channels, over all layers. */
  readonly kernels: { readonly before: number; readonly after: number };
}

const kernelCount = (graph: Graph): number =>
  layerChannels(graph).reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);

/**
 * Shrinks the network of a case and compares all outputs in ONNX Runtime (|a - b| <= 1e-4 + 1e-3 |a|).
 * @throws AssertionError if they differ, or if shrinking again would find more to remove
 */
export async function checkCase(given: ShrinkCase): Promise<CaseResult> {
  const { graph, feeds } = buildCase(given);
  const before = kernelCount(graph);
  const options = { optimization: "disabled", threads: 1 } as const;
  let want: ReadonlyMap<string, Tensor>;
  try {
    want = await runGraph(graph, feeds, options);
  } catch {
    return { kind: "refused", kernels: { before, after: before } };
  }
  const finite = [...want.values()].every((tensor) => float32Data(tensor).every(Number.isFinite));
  if (!finite) return { kind: "not finite", kernels: { before, after: before } };
  const prepared = given.simplified ? simplify(graph) : graph;
  const small = shrink(prepared, { multiple: given.multiple });
  verifyTypes(small);
  if (given.multiple === 1) assert.equal(shrink(small), small, "shrinking twice finds nothing more");
  assertNearOutputs(want, await runGraph(small, feeds, options));
  return { kind: "compared", kernels: { before, after: kernelCount(small) } };
}
