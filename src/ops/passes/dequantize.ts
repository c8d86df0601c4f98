import { at, hasOutput, inputOf, outputOf, present } from "../../graph/at.js";
import { int } from "../../graph/attributes.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { capturedNames, linkGraph } from "../../graph/links.js";
import { inputOrOmitted, inputsOf, ofInput, outputsOf } from "../../graph/operands.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import { float32Tensor, scalarTensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor, ValueInfo } from "../../graph/types.js";
import type { Handling } from "../core/definition.js";
import { isQuantizedOp } from "../families/quantization.js";
import { inferGraph } from "../inference/infer.js";
import { findOp } from "../inference/registry.js";
import { dynamicUses } from "./dynamic_quantization.js";
import { foldConstants } from "./fold_constants.js";
import { foldFactors } from "./fold_factors.js";
import { boundsOfIntegers, isNeverNegative, type RealBounds } from "./quantized_bounds.js";
import { type Integers, integersOf, quantizeConstant, realNumbers } from "./quantized_constants.js";
import { isOfAll, isSameStep, type Step, stepOf } from "./quantized_steps.js";
import { unfuse } from "./unfuse.js";
import { widenSmallIntegers } from "./widen_small_integers.js";

/** What became of a quantized network. */
export interface Dequantization {
  /** The float32 network; values that are fed or given as integers stay so. */
  readonly graph: Graph;
  /** Weights, biases and other constants that became float32. */
  readonly constants: number;
  /** Values that were rounded to integers and are not any more. */
  readonly values: number;
  /** Of those, how many are still bounded, since saturating integers had taken the place of an activation. */
  readonly bounded: number;
  /** Nodes that still compute with integers. */
  readonly left: readonly Node[];
}

/**
 * The float32 network behind a quantized one: weights multiplied out, activations no longer rounded, ConvInteger,
 * MatMulInteger, QLinearConv and QLinearMatMul as Conv and MatMul. Saturation at zero, into which quantizers put
 * activations, stays as Clip. What cannot be taken back stays as it is.
 */
export function dequantize(graph: Graph): Dequantization {
  // What moves integers of 4 bits can be folded once they are wide.
  const wide = widenSmallIntegers(foldConstants(unfuse(graph, "real")));
  return new Dequantizer(foldConstants(wide)).result();
}

/** Whether an operator does on quantized numbers what it does on real ones, as it moves or picks among them, or mixes them. */
function commutes(node: Node): boolean {
  const handling = findOp(node)?.elements;
  return handling !== undefined && commuting[handling];
}

const commuting: Readonly<Record<Handling, boolean>> = {
  kept: true,
  reshaped: true,
  moved: true,
  // The fill value would have to be quantized.
  padded: false,
  converted: false,
  picked: true,
  averaged: false,
  interpolated: true,
};

class Dequantizer {
  private readonly nodes: Node[] = [];
  private readonly initializers: Map<string, Tensor>;
  private readonly fresh: (stem: string) => string;
  private readonly types: ReturnType<typeof inferGraph>["types"];
  /** Constants that are integers with a meaning, by name. */
  private readonly integers = new Map<string, Integers>();
  /** The real value that stands for a quantized one, or for a value that is no longer what it was. */
  private readonly real = new Map<string, string>();
  /** Real values of the network that nothing computes any more: `real` says what stands for them. */
  private readonly gone = new Set<string>();
  /** What quantized values that are real now were rounded by. */
  private readonly steps = new Map<string, Step>();
  private readonly dynamic: ReadonlySet<Node>;
  /** Sums of integer products that are real now, and only made float32 in the network. */
  private readonly sums = new Set<string>();
  private readonly neverNegative = new Set<string>();
  private constants = 0;
  private values = 0;
  private bounded = 0;
  /** Values that are read otherwise than by the inputs of nodes. */
  private readonly pinned: ReadonlySet<string>;

  constructor(private readonly graph: Graph) {
    this.initializers = new Map(graph.initializers);
    this.fresh = freshNames(new Set(usedNames(graph)));
    this.types = inferGraph(graph).types;
    this.dynamic = dynamicUses(linkGraph(graph), (product) => this.constantFactor(product) !== undefined);
    this.pinned = new Set([...graph.outputs.map(({ name }) => name), ...graph.nodes.flatMap(capturedNames)]);
  }

  result(): Dequantization {
    const { graph } = this;
    for (const node of graph.nodes) this.visit(node);
    const valueInfo = new Map<string, ValueInfo>();
    for (const [name, info] of graph.valueInfo) if (!this.real.has(name)) valueInfo.set(name, info);
    const whole = { ...graph, nodes: this.nodes, initializers: this.initializers, valueInfo };
    const clean = removeDeadNodes(foldFactors(removeDeadNodes(whole)));
    const { constants, values, bounded } = this;
    return { graph: clean, constants, values, bounded, left: clean.nodes.filter(isQuantizedOp) };
  }

  private readonly rules: ReadonlyMap<string, (node: Node) => void> = new Map([
    ["QuantizeLinear", (node: Node) => this.quantizeLinear(node)],
    ["DequantizeLinear", (node: Node) => this.dequantizeLinear(node)],
    ["DynamicQuantizeLinear", (node: Node) => this.dynamicQuantizeLinear(node)],
    ["ConvInteger", (node: Node) => this.integerProduct(node, "Conv")],
    ["MatMulInteger", (node: Node) => this.integerProduct(node, "MatMul")],
    ["QLinearConv", (node: Node) => this.linearProduct(node, "Conv")],
    ["QLinearMatMul", (node: Node) => this.linearProduct(node, "MatMul")],
    ["Cast", (node: Node) => this.cast(node)],
  ]);

  private visit(node: Node): void {
    const rule = findOp(node) === undefined ? undefined : this.rules.get(node.op);
    if (rule !== undefined && hasOutput(node, 0)) rule(node);
    else if (commutes(node)) this.move(node);
    else this.keep(node);
  }

  /** The node as it is; values that became real under another name are read there. */
  private keep(node: Node): void {
    const inputs = node.inputs.map((name) => (this.gone.has(name) ? this.realName(name) : name));
    this.nodes.push({ ...node, inputs });
    if (isNeverNegative({ ...node, inputs }, this.neverNegative, this.initializers)) {
      for (const output of node.outputs) this.neverNegative.add(output);
    }
  }

  private emit(op: string, inputs: readonly string[], stem: string, attributes: Node["attributes"]): string {
    const output = this.fresh(`${stem}/real`);
    const node = {
      name: this.fresh(`${output}/${op}`),
      op,
      domain: "",
      inputs,
      outputs: [output],
      attributes,
    };
    this.nodes.push(node);
    if (isNeverNegative(node, this.neverNegative, this.initializers)) this.neverNegative.add(output);
    return output;
  }

  private constant(stem: string, tensor: Tensor): string {
    const name = this.fresh(`${stem}/real`);
    this.initializers.set(name, tensor);
    return name;
  }

  private realName(name: string): string {
    return this.real.get(name) ?? name;
  }

  private quantizeLinear(node: Node): void {
    this.keep(node);
    const [x, scale] = inputsOf(node, 2);
    const zero = inputOrOmitted(node, 2);
    const y = outputOf(node, 0);
    const source = this.initializers.get(this.realName(x));
    const range = boundsOfIntegers(
      node,
      this.initializers.get(scale),
      zero === "" ? undefined : this.initializers.get(zero),
    );
    if (range === undefined) return;
    if (source !== undefined) {
      const integers = quantizeConstant(node, source, this.initializers);
      if (integers !== undefined) this.integers.set(y, integers);
      return;
    }
    this.values += 1;
    this.real.set(y, this.boundedValue(this.realName(x), range, y));
    this.steps.set(y, this.step(node, x, scale, zero));
  }

  private step(node: Node, x: string, scale: string, zeroPoint: string): Step {
    return stepOf(node, this.types.get(x)?.shape?.length, scale, zeroPoint);
  }

  /** A value that was cut to a range: still cut where the range ends at 0, which says that an activation did. */
  private boundedValue(x: string, { low, high }: RealBounds, stem: string): string {
    if (low !== 0 || this.neverNegative.has(x)) return x;
    this.bounded += 1;
    const limits = [low, high].map((limit) => this.constant("limit", scalarTensor(limit)));
    const name = this.emit("Clip", [x, ...limits], stem, new Map());
    return name;
  }

  private dequantizeLinear(node: Node): void {
    const [x, scale] = inputsOf(node, 2);
    const zeroPoint = inputOrOmitted(node, 2);
    const y = outputOf(node, 0);
    const known = this.real.get(x);
    if (known !== undefined) {
      if (this.hasStep(x, this.step(node, x, scale, zeroPoint))) this.alias(y, known, node);
      else this.keep(node);
      return;
    }
    const integers = this.integers.get(x) ?? integersOf(this.initializers.get(x));
    const tensor = integers && realNumbers(node, integers, this.initializers);
    if (tensor === undefined) {
      this.keep(node);
      return;
    }
    this.constants += 1;
    if (this.pinned.has(y)) this.alias(y, this.constant(y, tensor), node);
    else this.initializers.set(y, tensor);
  }

  private hasStep(name: string, step: Step | undefined): boolean {
    const own = this.steps.get(name);
    return own !== undefined && step !== undefined && isSameStep(own, step, this.initializers);
  }

  /** Readers of `name` read `source`; an output of the graph, and what a subgraph reads, keeps its name. */
  private alias(name: string, source: string, node: Node): void {
    this.real.set(name, source);
    this.gone.add(name);
    if (!this.pinned.has(name)) return;
    this.nodes.push({
      ...node,
      op: "Identity",
      domain: "",
      inputs: [source],
      outputs: [name],
      attributes: new Map(),
    });
  }

  private dynamicQuantizeLinear(node: Node): void {
    if (!this.dynamic.has(node)) {
      this.keep(node);
      return;
    }
    const x = inputOf(node, 0);
    const [y, scale] = outputsOf(node, 2);
    this.values += 1;
    this.real.set(y, this.realName(x));
    this.real.set(scale, this.constant(scale, scalarTensor(1)));
    this.gone.add(scale);
  }

  /** A product of integers whose data were quantized dynamically: the scales are multiplied in behind it. */
  private integerProduct(node: Node, op: "Conv" | "MatMul"): void {
    const [x, w] = inputsOf(node, 2);
    // Data with a step of their own are not dynamic: what reads the sums knows how to take them.
    const data = this.steps.has(x) ? undefined : this.real.get(x);
    const weight = this.constantFactor(node);
    if (data === undefined || weight === undefined) {
      this.keep(node);
      return;
    }
    this.constants += 1;
    const y = outputOf(node, 0);
    this.real.set(y, this.emit(op, [data, this.constant(w, weight)], y, node.attributes));
    this.sums.add(y);
  }

  /** The weights of ConvInteger or MatMulInteger less their zero point; undefined if they are computed or do not fit. */
  private constantFactor(node: Node): Tensor | undefined {
    const integers = integersOf(ofInput(this.graph.initializers, node, 1));
    const axis = node.op === "ConvInteger" ? 0 : -1;
    const zeroPoint = { ...node, inputs: ["", "", inputOrOmitted(node, 3)] };
    return integers && realNumbers(zeroPoint, integers, this.graph.initializers, axis);
  }

  private cast(node: Node): void {
    const x = inputOf(node, 0);
    const y = outputOf(node, 0);
    const known = this.real.get(x);
    if (known === undefined || !this.sums.has(x)) {
      this.keep(node);
      return;
    }
    this.alias(y, known, node);
  }

  private linearProduct(node: Node, op: "Conv" | "MatMul"): void {
    this.keep(node);
    const [x, xScale, xZero, w, wScale, wZero, yScale, yZero] = inputsOf(node, 8);
    const bias = inputOrOmitted(node, 8);
    const y = outputOf(node, 0);
    const axis = op === "Conv" ? 0 : -1;
    const offsets = bias === "" ? undefined : this.biasNumbers(bias, xScale, wScale);
    // A bias that is computed, or in units that are, has no form in real numbers: the node stays.
    if (bias !== "" && offsets === undefined) return;
    const weight = this.operand({ ...node, inputs: [w, wScale, wZero] }, axis);
    // A scale for each row of a matrix; data of a convolution have one.
    const data = this.operand({ ...node, inputs: [x, xScale, xZero] }, op === "Conv" ? 1 : -2);
    const range = boundsOfIntegers(node, this.initializers.get(yScale), this.initializers.get(yZero));
    if (weight === undefined || data === undefined || range === undefined) return;
    const inputs = [data, weight, ...(offsets === undefined ? [] : [this.constant(bias, offsets)])];
    if (offsets !== undefined) this.constants += 1;
    const product = this.emit(op, inputs, y, op === "Conv" ? node.attributes : new Map());
    this.values += 1;
    this.real.set(y, this.boundedValue(product, range, y));
    this.steps.set(y, this.step({ ...node, attributes: new Map() }, y, yScale, yZero));
  }

  /** A factor as real numbers: known already, a constant, or converted here. */
  private operand(node: Node, axis: number): string | undefined {
    const [x, scale] = inputsOf(node, 2);
    const zeroPoint = inputOrOmitted(node, 2);
    const along = { ...node, attributes: new Map([["axis", int(axis)]]) };
    const known = this.real.get(x);
    if (known !== undefined && this.hasStep(x, this.step(along, x, scale, zeroPoint))) return known;
    const integers = integersOf(this.initializers.get(x));
    if (integers === undefined) return this.emit("DequantizeLinear", node.inputs, x, along.attributes);
    const tensor = realNumbers(node, integers, this.initializers, axis);
    if (tensor === undefined) return undefined;
    this.constants += 1;
    return this.constant(x, tensor);
  }

  /** A bias counts in units of both scales together. */
  private biasNumbers(name: string, xScale: string, wScale: string): Tensor | undefined {
    const integers = integersOf(this.initializers.get(name));
    const ofData = integersOf(this.initializers.get(xScale))?.values[0];
    const ofWeights = integersOf(this.initializers.get(wScale))?.values;
    if (integers === undefined || ofData === undefined || ofWeights === undefined) return undefined;
    if (ofWeights.length !== 1 && ofWeights.length !== integers.values.length) return undefined;
    const numbers = integers.values.map((value, index) => {
      const scale = Math.fround(ofData * present(ofWeights[ofWeights.length === 1 ? 0 : index]));
      return value * scale;
    });
    return float32Tensor(integers.dims, numbers);
  }

  private move(node: Node): void {
    const first = inputOf(node, 0);
    const moved = node.op === "Concat" ? node.inputs : [first];
    const known = moved.map((name) => this.real.get(name));
    this.keep(node);
    const isFloat = this.types.get(first)?.elementType === "float32";
    if (isFloat || !known.every((name) => name !== undefined)) return;
    const step = this.steps.get(first);
    // Where the axis of several scales has gone is not followed.
    if (step === undefined || !isOfAll(step, this.initializers)) return;
    if (!moved.every((name) => this.hasStep(name, step))) return;
    const inputs = node.inputs.map((name, index) => known[index] ?? name);
    const outputs = node.outputs.map((name) => (name === "" ? "" : this.fresh(`${name}/real`)));
    const twin = { ...node, name: this.fresh(`${node.name}/real`), inputs, outputs };
    this.nodes.push(twin);
    if (isNeverNegative(twin, this.neverNegative, this.initializers))
      for (const name of outputs) this.neverNegative.add(name);
    node.outputs.forEach((name, index) => {
      const output = at(outputs, index);
      if (output === "") return;
      this.real.set(name, output);
      this.steps.set(name, step);
    });
  }
}
