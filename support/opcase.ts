import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrtTensor } from "../src/execute/engine.js";
import { toOrtTensor } from "../src/execute/engine.js";
import { openSession, runGraph } from "../src/execute/node.js";
import { attributes as attributeMap } from "../src/graph/attributes.js";
import { elementCount, float32Data, float32Tensor, numericData } from "../src/graph/tensor.js";
import type { Graph, Node, Shape, Tensor, ValueType } from "../src/graph/types.js";
import { ruleOf } from "../src/ops/core/definition.js";
import { mul, reduceSum } from "../src/ops/core/emit.js";
import { TypedBuilder } from "../src/ops/inference/builder.js";
import { inferNode, knownValue, nodeContext, tensorType } from "../src/ops/inference/infer.js";
import { findOp } from "../src/ops/inference/registry.js";
import { expandComposites } from "../src/ops/passes/expand_composites.js";
import { buildGradients } from "../src/train/gradients.js";
import {
  type CaseNode,
  isConstant,
  isDifferentiated,
  type OwnInput,
  sampleInput,
  seedOf,
} from "./case_input.js";

export {
  constant,
  distinct,
  fed,
  type OwnInput,
  omitted,
  random,
  weight,
} from "./case_input.js";

export interface OpCase extends CaseNode<OwnInput> {
  /** What is special about this case; the operator's name is added. */
  readonly name?: string;
  /** Default 17. */
  readonly opset?: number;
  /** Half the step of the central difference, which weighs all float32 outputs; default 0.01. */
  readonly step?: number;
}

/** A seeded source of numbers in [0, 1) (mulberry32). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  };
}

/** A case with its values drawn: the node, and a tensor for every input that is not omitted. */
interface Instance {
  readonly opset: number;
  readonly node: Node;
  readonly fed: ReadonlyMap<string, Tensor>;
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly differentiated: readonly string[];
}

function instantiate(opCase: OpCase): Instance {
  const next = randomSource(seedOf(`${opCase.op} ${opCase.name ?? ""}`));
  const drawn = opCase.inputs.map((input, index) => ({
    input,
    name: `x${index}`,
    tensor: sampleInput(input, next),
  }));
  const named = drawn.flatMap(({ input, name, tensor }) =>
    tensor === undefined ? [] : [{ input, name, tensor }],
  );
  const pick = (wanted: (input: OwnInput) => boolean): Map<string, Tensor> =>
    new Map(named.filter(({ input }) => wanted(input)).map(({ name, tensor }) => [name, tensor]));
  return {
    opset: opCase.opset ?? 17,
    node: {
      name: "node",
      op: opCase.op,
      domain: "",
      inputs: drawn.map(({ name, tensor }) => (tensor === undefined ? "" : name)),
      outputs: Array.from({ length: opCase.outputs ?? 1 }, (_, index) => `y${index}`),
      attributes: attributeMap(opCase.attributes ?? {}),
    },
    fed: pick((input) => !isConstant(input)),
    constants: pick(isConstant),
    differentiated: named.filter(({ input }) => isDifferentiated(input)).map(({ name }) => name),
  };
}

function graphOf(
  instance: Instance,
  nodes: readonly Node[],
  constants: ReadonlyMap<string, Tensor>,
  outputs: readonly string[],
): Graph {
  return {
    name: "case",
    opsets: new Map([["", instance.opset]]),
    inputs: [...instance.fed].map(([name, tensor]) => ({ name, type: tensorType(tensor) })),
    outputs: outputs.map((name) => ({ name, type: undefined })),
    nodes,
    initializers: constants,
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

/** The types the rule infers when it is shown the input types after `blur`. */
function inferredTypes(
  instance: Instance,
  blur: (shape: Shape) => Shape | undefined,
): readonly (ValueType | undefined)[] {
  const types = new Map<string, ValueType>();
  for (const [name, tensor] of instance.fed) {
    types.set(name, { elementType: tensor.type, shape: blur(tensor.dims) });
  }
  for (const [name, tensor] of instance.constants) types.set(name, tensorType(tensor));
  return inferNode(nodeContext(instance.node, instance.opset, types, knownValues(instance.constants)));
}

function knownValues(
  tensors: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, NonNullable<ReturnType<typeof knownValue>>> {
  return new Map(
    [...tensors].flatMap(([name, tensor]) => {
      const value = knownValue(tensor);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

/** The output values that ONNX Runtime computes. */
async function computed(instance: Instance): Promise<readonly Tensor[]> {
  const { node, fed, constants } = instance;
  const outputs = await runGraph(graphOf(instance, [node], constants, node.outputs), fed);
  return node.outputs.map((name) => {
    const tensor = outputs.get(name);
    assert.ok(tensor, `output ${name}`);
    return tensor;
  });
}

/**
 * The shape rule against the shapes ONNX Runtime computes: exact from static inputs, never contradicting from
 * inputs whose dimensions, or even ranks, are unknown.
 */
export async function checkShape(opCase: OpCase): Promise<void> {
  const instance = instantiate(opCase);
  const outputs = await computed(instance);
  const exact = inferredTypes(instance, (shape) => shape);
  const unsized = inferredTypes(instance, (shape) => shape.map(() => undefined));
  const unranked = inferredTypes(instance, () => undefined);
  outputs.forEach((output, index) => {
    assert.deepEqual(exact[index], { elementType: output.type, shape: output.dims });
    for (const type of [unsized[index], unranked[index]]) {
      assert.ok(type, "a type for every output");
      assert.equal(type.elementType, output.type);
      if (type.shape === undefined) continue;
      assert.equal(type.shape.length, output.dims.length, "rank");
      type.shape.forEach((dim, axis) => {
        if (typeof dim === "number") assert.equal(dim, output.dims[axis], `axis ${axis}`);
      });
    }
  });
}

/** The value rule, over constant inputs, against the values ONNX Runtime computes (exactly). */
export async function checkValue(opCase: OpCase): Promise<void> {
  const instance = instantiate(opCase);
  const { node, opset } = instance;
  const tensors = new Map([...instance.fed, ...instance.constants]);
  const types = new Map([...tensors].map(([name, tensor]) => [name, tensorType(tensor)]));
  const values = findOp(node)?.value?.(nodeContext(node, opset, types, knownValues(tensors)));
  assert.ok(values, "the operator has a value rule");
  (await computed(instance)).forEach((output, index) => {
    assert.deepEqual(values[index], { type: output.type, dims: output.dims, elements: numericData(output) });
  });
}

/** A scalar loss, Σ over the outputs of output · fixed random weights, and what computes it. */
interface WeightedLoss {
  readonly builder: TypedBuilder;
  readonly loss: string;
  readonly weights: ReadonlyMap<string, Float32Array>;
}

function weightedLoss(instance: Instance, outputs: readonly Tensor[]): WeightedLoss {
  const builder = new TypedBuilder(instance.opset);
  for (const [name, tensor] of instance.fed) builder.declare(name, tensorType(tensor));
  for (const [name, tensor] of instance.constants) builder.setInitializer(name, tensor);
  builder.append(instance.node);
  const next = randomSource(1);
  const weights = new Map<string, Float32Array>();
  outputs.forEach(({ type, dims }, index) => {
    if (type !== "float32") return;
    weights.set(
      instance.node.outputs[index] ?? "",
      Float32Array.from({ length: elementCount(dims) }, () => 2 * next() - 1),
    );
  });
  const terms = [...weights].map(([name, data]) => {
    const dims = builder.dims(name);
    const product = mul(builder, name, builder.floats("weights", dims, data));
    return dims.length === 0
      ? product
      : reduceSum(
          builder,
          product,
          dims.map((_, axis) => axis),
          false,
        );
  });
  return { builder, weights, loss: terms.length === 1 ? (terms[0] ?? "") : builder.emit("Sum", terms) };
}

/** The gradients that the operator's rule and the driver compute, by input. */
async function ruleGradients(
  instance: Instance,
  { builder, loss }: WeightedLoss,
): Promise<ReadonlyMap<string, Tensor>> {
  const forward = [...builder.nodes];
  const names = buildGradients(builder, forward, loss, instance.differentiated);
  const graph = expandComposites(graphOf(instance, builder.nodes, builder.initializers, [...names.values()]));
  const outputs = await runGraph(graph, instance.fed);
  return new Map(
    [...names].flatMap(([input, gradient]) => {
      const tensor = outputs.get(gradient);
      return tensor === undefined ? [] : [[input, tensor] as const];
    }),
  );
}

function dot(
  weights: ReadonlyMap<string, Float32Array>,
  outputs: Readonly<Record<string, OrtTensor>>,
): number {
  let sum = 0;
  for (const [name, factors] of weights) {
    const data = outputs[name]?.data as Float32Array;
    factors.forEach((factor, index) => {
      sum += factor * (data[index] ?? Number.NaN);
    });
  }
  return sum;
}

/** Central differences of the loss with respect to every element of one input, summed in float64. */
async function numericalGradient(
  instance: Instance,
  weights: ReadonlyMap<string, Float32Array>,
  input: string,
  step: number,
): Promise<readonly number[]> {
  const { node, fed, constants } = instance;
  const session = await openSession(graphOf(instance, [node], constants, node.outputs), { threads: 1 });
  const original = fed.get(input);
  assert.ok(original);
  const feeds = Object.fromEntries([...fed].map(([name, tensor]) => [name, toOrtTensor(tensor)]));
  const lossWith = async (index: number, change: number): Promise<{ at: number; loss: number }> => {
    const data = Float32Array.from(float32Data(original));
    data[index] = (data[index] ?? 0) + change;
    const moved = { ...feeds, [input]: toOrtTensor(float32Tensor(original.dims, data)) };
    return { at: data[index] ?? 0, loss: dot(weights, await session.run(moved)) };
  };
  const gradient: number[] = [];
  for (let index = 0; index < elementCount(original.dims); index++) {
    const above = await lossWith(index, step);
    const below = await lossWith(index, -step);
    gradient.push((above.loss - below.loss) / (above.at - below.at));
  }
  await session.release();
  return gradient;
}

/**
 * Every element of every differentiated input's gradient against central differences through ONNX Runtime;
 * tolerance 5e-3 of the largest element (or of 1), which float32 and steps of 0.01 allow.
 */
export async function checkGradient(opCase: OpCase): Promise<void> {
  const instance = instantiate(opCase);
  const loss = weightedLoss(instance, await computed(instance));
  const gradients = await ruleGradients(instance, loss);
  for (const input of instance.differentiated) {
    const expected = await numericalGradient(instance, loss.weights, input, opCase.step ?? 0.01);
    const gradient = gradients.get(input);
    assert.ok(gradient, `a gradient of ${input}`);
    assert.deepEqual(gradient.dims, instance.fed.get(input)?.dims);
    const found = float32Data(gradient);
    const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
    expected.forEach((value, index) => {
      const difference = Math.abs(value - (found[index] ?? Number.NaN));
      assert.ok(difference <= 5e-3 * scale, `${input}[${index}]: expected ${value}, found ${found[index]}`);
    });
  }
}

/** Registers a test of the shape rule, and of the gradient where an input is differentiated, for every case. */
export function testOps(cases: readonly OpCase[]): void {
  for (const opCase of cases) {
    const title = [opCase.op, opCase.name].filter((part) => part !== undefined).join(" ");
    test(`${title}: shape`, () => checkShape(opCase));
    if (ruleOf(findOp({ op: opCase.op, domain: "" })?.gradient) === undefined) continue;
    if (!opCase.inputs.some(isDifferentiated)) continue;
    test(`${title}: gradient`, () => checkGradient(opCase));
  }
}

/** Registers a test of the value rule for every case; all inputs must be given. */
export function testValues(cases: readonly OpCase[]): void {
  for (const opCase of cases) {
    test([opCase.op, opCase.name, "value"].filter((part) => part !== undefined).join(" "), () =>
      checkValue(opCase),
    );
  }
}
