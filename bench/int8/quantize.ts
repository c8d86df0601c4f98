import { at, entryOf, hasInput, inputOf, listOf, outputOf } from "../../src/graph/at.js";
import { attributes, floatAttributeOr, int, intAttributeOr } from "../../src/graph/attributes.js";
import { freshNames, usedNames } from "../../src/graph/edit.js";
import { PenniError } from "../../src/graph/errors.js";
import { linkGraph } from "../../src/graph/links.js";
import { removeDeadNodes } from "../../src/graph/passes/remove_dead_nodes.js";
import {
  elementCount,
  float32Data,
  float32Tensor,
  numericData,
  scalarTensor,
} from "../../src/graph/tensor.js";
import type { Graph, Node, Tensor } from "../../src/graph/types.js";

// A float32 network as static INT8, the way ONNX Runtime wants it (QDQ): every value that an operator computes with is
// rounded by QuantizeLinear and brought back by DequantizeLinear, and the runtime makes QLinearConv, QLinearAdd, QGemm
// of an operator with what stands around it. Activations are uint8 with a zero point, weights int8 with a scale for each
// output channel, biases int32 at the product of both scales.

/** The numbers that a value takes: zero is one of them. */
export interface ValueRange {
  readonly low: number;
  readonly high: number;
}

/** real = (integer - zero) * scale */
interface Grid {
  readonly scale: number;
  readonly zero: number;
}

const STEPS = 255;
const LARGEST_WEIGHT = 127;
/** Sums of products have to fit beside the bias. */
const LARGEST_BIAS = 2 ** 30;
const SMALLEST_SCALE = 2 ** -100;

/** Operators with weights, by the axis of their outputs. */
const weighted: Readonly<Record<string, (node: Node) => number>> = {
  Conv: () => 0,
  Gemm: (node) => (intAttributeOr(node, "transB", 0) === 1 ? 0 : 1),
};

/** Operators that compute with values of 8 bits. */
const computing: ReadonlySet<string> = new Set(["Add", "AveragePool", "GlobalAveragePool"]);

/** Operators that only move numbers, and do so with integers. */
const moving: ReadonlySet<string> = new Set(["Slice", "Pad", "Reshape", "Flatten"]);

/**
 * The values whose ranges `quantizeStatically` needs: the input, and what operators compute, behind Relu where one
 * follows. The network's outputs stay float32.
 * @throws PenniError "unsupported" naming the first operator that has no form of 8 bits here
 */
export function quantizedValues(graph: Graph): readonly string[] {
  const { readers, outputNames } = linkGraph(graph);
  const computed = graph.nodes.flatMap((node) => {
    if (moving.has(node.op)) return [];
    if (node.op !== "Relu" && weighted[node.op] === undefined && !computing.has(node.op)) {
      throw new PenniError("unsupported", "this operator has no form of 8 bits in the benchmark", {
        node: node.name,
        op: node.op,
        expected: ["Relu", ...Object.keys(weighted), ...computing, ...moving].join(", "),
      });
    }
    const output = outputOf(node, 0);
    const reading = listOf(readers, output);
    const isInsideRelu = reading.length === 1 && reading[0]?.op === "Relu";
    return isInsideRelu || outputNames.has(output) ? [] : [output];
  });
  return [...graph.inputs.map(({ name }) => name), ...computed];
}

/**
 * @param graph constant weights and biases, BatchNormalization folded, opset 13 or later
 * @param ranges of all `quantizedValues`
 */
export function quantizeStatically(graph: Graph, ranges: ReadonlyMap<string, ValueRange>): Graph {
  const quantizer = new Quantizer(graph);
  for (const { name } of graph.inputs) quantizer.quantize(name, entryOf(ranges, name));
  for (const node of graph.nodes) {
    quantizer.node(node);
    const output = outputOf(node, 0);
    const range = ranges.get(output);
    if (range !== undefined) quantizer.quantize(output, range);
  }
  return removeDeadNodes({
    ...graph,
    nodes: quantizer.nodes,
    initializers: quantizer.initializers,
    valueInfo: new Map(),
  });
}

/** A value as integers, with the float32 numbers that they stand for. */
interface Quantized {
  readonly integers: string;
  readonly reals: string;
  readonly grid: Grid;
  /** Names of the constants of the grid. */
  readonly constants: readonly [scale: string, zero: string];
}

class Quantizer {
  readonly nodes: Node[] = [];
  readonly initializers: Map<string, Tensor>;
  private readonly fresh: (stem: string) => string;
  private readonly values = new Map<string, Quantized>();

  constructor(private readonly graph: Graph) {
    this.initializers = new Map(graph.initializers);
    this.fresh = freshNames(usedNames(graph));
  }

  /** Whoever reads the value from now on reads it rounded. */
  quantize(name: string, range: ValueRange): void {
    const grid = gridOf(range);
    const constants = [
      this.constant(`${name}_scale`, scalarTensor(grid.scale)),
      this.constant(`${name}_zero`, { type: "uint8", dims: [], bytes: Uint8Array.of(grid.zero) }),
    ] as const;
    const integers = this.emit("QuantizeLinear", [name, ...constants], `${name}_quantized`);
    this.values.set(name, { integers, reals: this.real(name, integers, constants), grid, constants });
  }

  node(node: Node): void {
    if (moving.has(node.op)) this.move(node);
    else if (weighted[node.op] === undefined)
      this.put({ ...node, inputs: node.inputs.map((name) => this.read(name)) });
    else this.weigh(node);
  }

  private read(name: string): string {
    return this.values.get(name)?.reals ?? name;
  }

  /** An operator that moves numbers, on the integers. */
  private move(node: Node): void {
    const source = entryOf(this.values, inputOf(node, 0));
    const output = outputOf(node, 0);
    const integers = this.fresh(`${output}_quantized`);
    const others = node.inputs.slice(1);
    if (node.op === "Pad") others[1] = this.filling(node, source.grid);
    this.put({ ...node, inputs: [source.integers, ...others], outputs: [integers] });
    const reals = this.real(output, integers, source.constants);
    this.values.set(output, { ...source, integers, reals });
  }

  /** What Pad puts around the integers. */
  private filling(node: Node, { scale, zero }: Grid): string {
    const value = hasInput(node, 2) ? at(numericData(entryOf(this.initializers, inputOf(node, 2))), 0) : 0;
    const level = Math.min(STEPS, Math.max(0, Math.round(value / scale) + zero));
    return this.constant(`${node.name}_filling`, { type: "uint8", dims: [], bytes: Uint8Array.of(level) });
  }

  private weigh(node: Node): void {
    const input = entryOf(this.values, inputOf(node, 0));
    const weight = this.float(inputOf(node, 1));
    const bias = hasInput(node, 2) ? float32Data(this.float(inputOf(node, 2))) : undefined;
    if (node.op === "Gemm" && !isPlain(node)) {
      throw new PenniError("unsupported", "only A * B + C has a form of 8 bits", {
        node: node.name,
        op: node.op,
      });
    }
    const axis = weighted[node.op]?.(node) ?? 0;
    const scales = weightScales(weight, axis, bias, input.grid.scale);
    const inputs = [input.reals, this.weight(node, weight, axis, scales)];
    if (bias !== undefined)
      inputs.push(
        this.bias(
          node,
          bias,
          scales.map((scale) => input.grid.scale * scale),
        ),
      );
    this.put({ ...node, inputs });
  }

  private weight(node: Node, weight: Tensor, axis: number, scales: Float32Array): string {
    const channel = channelOf(weight.dims, axis);
    const levels = float32Data(weight).map((value, index) => {
      const level = Math.round(value / at(scales, channel(index)));
      return Math.min(LARGEST_WEIGHT, Math.max(-LARGEST_WEIGHT, level));
    });
    const bytes = new Uint8Array(Int8Array.from(levels).buffer);
    return this.alongAxis(node, "weight", { type: "int8", dims: weight.dims, bytes }, axis, scales);
  }

  private bias(node: Node, bias: Float32Array, scales: Float32Array): string {
    const levels = Int32Array.from(bias, (value, channel) => Math.round(value / at(scales, channel)));
    const bytes = new Uint8Array(levels.buffer);
    return this.alongAxis(node, "bias", { type: "int32", dims: [bias.length], bytes }, 0, scales);
  }

  private alongAxis(node: Node, what: string, tensor: Tensor, axis: number, scales: Float32Array): string {
    const stem = `${node.name}_${what}`;
    const zeros = { type: tensor.type, dims: [scales.length] };
    const width = tensor.bytes.length / elementCount(tensor.dims);
    const inputs = [
      this.constant(`${stem}_quantized`, tensor),
      this.constant(`${stem}_scale`, float32Tensor([scales.length], scales)),
      this.constant(`${stem}_zero`, { ...zeros, bytes: new Uint8Array(width * scales.length) }),
    ];
    const output = this.fresh(stem);
    this.put({
      ...{ name: this.fresh(`${stem}_real`), op: "DequantizeLinear", domain: "", inputs, outputs: [output] },
      attributes: attributes({ axis: int(axis) }),
    });
    return output;
  }

  private float(name: string): Tensor {
    const tensor = this.graph.initializers.get(name);
    if (tensor?.type === "float32") return tensor;
    throw new PenniError("unsupported", `"${name}" is no constant of float32`, {
      found: tensor?.type ?? "no constant",
    });
  }

  private real(name: string, integers: string, constants: readonly string[]): string {
    return this.emit("DequantizeLinear", [integers, ...constants], `${name}_real`);
  }

  private constant(stem: string, tensor: Tensor): string {
    const name = this.fresh(stem);
    this.initializers.set(name, tensor);
    return name;
  }

  private emit(op: string, inputs: readonly string[], stem: string): string {
    const output = this.fresh(stem);
    this.put({
      name: this.fresh(`${stem}_${op}`),
      op,
      domain: "",
      inputs,
      outputs: [output],
      attributes: new Map(),
    });
    return output;
  }

  private put(node: Node): void {
    this.nodes.push(node);
  }
}

function gridOf({ low, high }: ValueRange): Grid {
  const [bottom, top] = [Math.min(low, 0), Math.max(high, 0)];
  const scale = Math.fround(Math.max((top - bottom) / STEPS, SMALLEST_SCALE));
  return { scale, zero: Math.min(STEPS, Math.max(0, Math.round(-bottom / scale))) };
}

/** Each output's scale: its largest weight is 127, unless its bias would not fit. */
function weightScales(
  weight: Tensor,
  axis: number,
  bias: Float32Array | undefined,
  input: number,
): Float32Array {
  const channel = channelOf(weight.dims, axis);
  const largest = new Float32Array(at(weight.dims, axis)).fill(LARGEST_WEIGHT * SMALLEST_SCALE);
  float32Data(weight).forEach((value, index) => {
    largest[channel(index)] = Math.max(at(largest, channel(index)), Math.abs(value));
  });
  return largest.map((most, output) =>
    Math.max(
      most / LARGEST_WEIGHT,
      bias === undefined ? 0 : Math.abs(at(bias, output)) / (input * LARGEST_BIAS),
    ),
  );
}

/** The output channel to which an element of a weight belongs. */
function channelOf(dims: readonly number[], axis: number): (index: number) => number {
  const inner = elementCount(dims.slice(axis + 1));
  const channels = at(dims, axis);
  return (index) => Math.floor(index / inner) % channels;
}

const isPlain = (node: Node): boolean =>
  floatAttributeOr(node, "alpha", 1) === 1 &&
  floatAttributeOr(node, "beta", 1) === 1 &&
  intAttributeOr(node, "transA", 0) === 0;
