import { at, hasInput, inputOf, listOf } from "../../graph/at.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { capturedNames, linkGraph } from "../../graph/links.js";
import { verifyAfter } from "../../graph/passes/pass.js";
import { isSelfChecking } from "../../graph/self_check.js";
import { elementCount, float32Data, float32Tensor } from "../../graph/tensor.js";
import type { ElementType, Graph, Node, Tensor } from "../../graph/types.js";
import { verifyGraph } from "../../graph/verify.js";
import type { WeightsType } from "../../graph/weights_type.js";
import type { OpDefinition } from "../core/definition.js";
import { isQuantizedOp } from "../families/quantization.js";
import { channelsAlong, roundedToBits, toGrid } from "../families/weight_grid.js";
import { findOp } from "../inference/registry.js";
import { balanceFactors } from "./balance_factors.js";
import { castNode, hasHalfWeights, withHalfWeights } from "./float16.js";

/** What became of a network's weights. */
export interface StoredWeights {
  readonly graph: Graph;
  /** Weights that stay float32 although they are large, and why. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

/** Bytes of the nodes that bring a weight back, of another initializer, and of their names. */
const NODE_BYTES = 100;
/** Below this nobody misses bytes. */
const LARGE = 1024;

/** Of the recurrent operator that Penni has no definition of. */
const rnnScaleAxes = { 1: () => 1, 2: () => 1 } as const;

/** The axis along which the scales of a weight run, in an input of a node; undefined where no weight is. */
function scaleAxis(
  node: Node,
  input: number,
  dims: readonly number[],
  isConstant: (name: string) => boolean,
): number | undefined {
  if (node.domain !== "" && node.domain !== "ai.onnx") return undefined;
  // A basis stands behind its coefficients: kernel by kernel.
  if (node.op === "MatMul" && input === 1 && isConstant(inputOf(node, 0))) return 0;
  const axes: OpDefinition["scaleAxes"] = node.op === "RNN" ? rnnScaleAxes : findOp(node)?.scaleAxes;
  return axes?.[input]?.(node, dims);
}

/**
 * A float32 network with its weights stored in a type: as float16 behind Cast, or as int8 behind Cast and Mul with a
 * scale for each output channel (for each kernel of a basis). (ONNX Runtime computes these once when it loads the model.
 * DequantizeLinear, which says the same, it computes in every run, so that layers have no constant weights.) Weights that are on such a grid already, as those of a
 * network that was read from such a file, come out as they were, to the bit. What is no weight of a layer (biases,
 * normalizations), or would not be smaller, stays float32, and so does what the type cannot hold; with int8, biases of
 * convolutions and Gemm are rounded to the 11 binary digits of a float16.
 * @param levels of int8, on each side of zero; bases always have all
 */
export function storeWeights(graph: Graph, type: WeightsType, levels?: number): StoredWeights {
  if (type === "float32") return { graph, kept: [] };
  const stored = type === "float16" ? inHalves(graph) : inBytes(graph, levels);
  if (isSelfChecking()) verifyAfter("pass storeWeights", stored.graph, verifyGraph);
  return stored;
}

function inHalves(graph: Graph): StoredWeights {
  const halved = withHalfWeights(graph);
  const kept = [...halved.initializers].flatMap(([name, tensor]) =>
    isLarge(tensor)
      ? [
          {
            name,
            reason: hasFiniteNumbers(tensor)
              ? "it has numbers beyond 65504, the largest float16"
              : NOT_FINITE,
          },
        ]
      : [],
  );
  return { graph: halved, kept };
}

const NOT_FINITE = "it has numbers that are not finite";
const isLarge = (tensor: Tensor): boolean => tensor.type === "float32" && elementCount(tensor.dims) >= LARGE;

const hasFiniteNumbers = (tensor: Tensor): boolean =>
  float32Data(tensor).every((value) => Number.isFinite(value));

function inBytes(given: Graph, levels: number | undefined): StoredWeights {
  const graph = balanceFactors(given);
  const fresh = freshNames(usedNames(graph));
  const { readers, outputNames } = linkGraph(graph);
  const captured = new Set(graph.nodes.flatMap(capturedNames));
  const initializers = new Map<string, Tensor>();
  const nodes: Node[] = [];
  const kept: { name: string; reason: string }[] = [];
  const renamed = new Map<string, string>();
  for (const [name, tensor] of graph.initializers) {
    initializers.set(name, tensor);
    if (tensor.type !== "float32") continue;
    const axis =
      outputNames.has(name) || captured.has(name)
        ? undefined
        : axisOf(name, tensor, listOf(readers, name), (other) => graph.initializers.has(other));
    if (axis === undefined) {
      if (isBias(tensor, listOf(readers, name), name)) initializers.set(name, withFewerDigits(tensor));
      if (isLarge(tensor)) kept.push({ name, reason: "it is read as something else than a layer's weight" });
      continue;
    }
    const places = channelsAlong(tensor.dims, axis);
    const count = elementCount(tensor.dims);
    // Nothing but zeros is smallest as a sparse tensor, of which there are none of integers.
    if (3 * count <= 4 * places.channels + NODE_BYTES || float32Data(tensor).every((value) => value === 0))
      continue;
    if (!hasFiniteNumbers(tensor)) {
      kept.push({ name, reason: NOT_FINITE });
      continue;
    }
    // Bases are small, and every kernel is made of them.
    const isBasis = listOf(readers, name).every(
      ({ op, inputs }) => op === "MatMul" && inputs[1] === name && graph.initializers.has(at(inputs, 0)),
    );
    const { values, scales } = toGrid(float32Data(tensor), places, isBasis ? undefined : levels);
    const [stored, scale, cast] = [fresh("q"), fresh("s"), fresh("c")];
    // Names of factors are Penni's own, and would take more bytes than the nodes.
    const isFactor = listOf(readers, name).every(
      ({ op, inputs }) => op === "MatMul" && inputs.every((other) => graph.initializers.has(other)),
    );
    const output = isFactor ? fresh("w") : name;
    if (isFactor) renamed.set(name, output);
    initializers.delete(name);
    initializers.set(stored, { type: "int8", dims: tensor.dims, bytes: new Uint8Array(values.buffer) });
    const around = tensor.dims.slice(axis + 1).map(() => 1);
    initializers.set(scale, float32Tensor([places.channels, ...around], scales));
    nodes.push(castNode(fresh("n"), stored, cast, "float32"), {
      name: fresh("n"),
      op: "Mul",
      domain: "",
      inputs: [cast, scale],
      outputs: [output],
      attributes: new Map(),
    });
  }
  if (nodes.length === 0) return { graph: given, kept };
  const others = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => renamed.get(name) ?? name),
  }));
  return { graph: { ...graph, nodes: [...nodes, ...others], initializers }, kept };
}

/** Operators that add a bias, as their third input. */
const BIASED = /^(Conv|ConvTranspose|Gemm)$/;

const isBias = ({ dims }: Tensor, readers: readonly Node[], name: string): boolean =>
  dims.length === 1 &&
  readers.length > 0 &&
  readers.every(({ op, inputs }) => BIASED.test(op) && inputs.indexOf(name) === 2);

/** Digits of a float16, but for the exponents of float32: what is left is compressed to half. */
const BIAS_BITS = 11;

function withFewerDigits(tensor: Tensor): Tensor {
  if (!hasFiniteNumbers(tensor)) return tensor;
  const rounded = float32Data(tensor).map((value) => roundedToBits(value, BIAS_BITS));
  return rounded.every(Number.isFinite) ? float32Tensor(tensor.dims, rounded) : tensor;
}

function axisOf(
  name: string,
  { dims }: Tensor,
  readers: readonly Node[],
  isConstant: (name: string) => boolean,
): number | undefined {
  const found = readers.flatMap((node) =>
    node.inputs.flatMap((input, index) => (input === name ? [scaleAxis(node, index, dims, isConstant)] : [])),
  );
  const isWeight = found.length > 0 && found.every((axis) => axis !== undefined && axis < dims.length);
  return isWeight ? at(found, 0) : undefined;
}

/** The type in which a model holds most of its weights: integers behind DequantizeLinear or Cast are int8. */
export function weightsTypeOf(graph: Graph): WeightsType {
  const bytes = graph.nodes.reduce((sum, node) => {
    const isReal = node.op === "DequantizeLinear" || node.op === "Cast";
    const tensor = isReal && hasInput(node, 0) ? graph.initializers.get(inputOf(node, 0)) : undefined;
    return tensor?.type === "int8" || tensor?.type === "uint8" ? sum + elementCount(tensor.dims) : sum;
  }, 0);
  const floats = [...graph.initializers.values()].reduce(
    (sum, { type, dims }) => (type === "float32" || type === "float16" ? sum + elementCount(dims) : sum),
    0,
  );
  if (bytes > floats) return "int8";
  return hasHalfWeights(graph) ? "float16" : "float32";
}

/** The same of a file, whose integers operators on quantized numbers may read as they are. */
export function storedTypeOf(graph: Graph): WeightsType {
  const read = new Set(graph.nodes.filter(isQuantizedOp).flatMap(({ inputs }) => inputs));
  const elements = (isCounted: (name: string, type: ElementType) => boolean): number =>
    [...graph.initializers].reduce(
      (sum, [name, { type, dims }]) => (isCounted(name, type) ? sum + elementCount(dims) : sum),
      0,
    );
  const integers = elements((name, type) => read.has(name) && (type === "int8" || type === "uint8"));
  const floats = elements((_, type) => type === "float32" || type === "float16");
  return integers > floats ? "int8" : weightsTypeOf(graph);
}
