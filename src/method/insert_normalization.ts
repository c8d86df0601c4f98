import { at, entryOf, listOf } from "../graph/at.js";
import { attributes, float } from "../graph/attributes.js";
import { freshNames, usedNames } from "../graph/edit.js";
import { linkGraph } from "../graph/links.js";
import { elementCount, float32Data, float32Tensor } from "../graph/tensor.js";
import type { Graph, Node, Tensor } from "../graph/types.js";
import { convolutions, denseLayer } from "../layers/weights.js";

/** Mean and variance of every channel of a value. */
export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
}

const EPSILON = 1e-5;
/**
 * Norm that each filter gets. Before a normalisation the norm does not matter to the output, but a step of
 * size η turns a filter by η / norm², and folding leaves small norms (0.7 in ResNet-20, whose filters had
 * 1.9): without this the network would train at several times the learning rate.
 */
const FILTER_NORM = 2;
/** A filter below this norm is dead and stays as it is. */
const DEAD_NORM = 1e-3;

/** Whether a network has kept normalisations that train with it. */
export function hasNormalization(graph: Graph): boolean {
  return graph.nodes.some(({ op, domain }) => op === "BatchNormalization" && domain === "");
}

/** Outputs of convolutions: where `insertNormalization` wants statistics. */
export function normalizationSites(graph: Graph): readonly string[] {
  return convolutions(graph).flatMap((conv) => conv.outputs.slice(0, 1));
}

/**
 * Gives a network whose BatchNormalization was folded away (or that never had any) one after every
 * convolution: with the given statistics as running mean and variance, and scale and bias that undo them, so
 * that in inference the network computes what it did. It trains like one that kept its normalisations, and
 * the export folds them again.
 */
export function insertNormalization(graph: Graph, statistics: ReadonlyMap<string, ChannelStatistics>): Graph {
  const fresh = freshNames(usedNames(graph));
  const initializers = new Map(graph.initializers);
  const { readers } = linkGraph(graph);
  const store = (name: string, tensor: Tensor): string => {
    initializers.set(name, tensor);
    return name;
  };
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const [output] = node.outputs;
    const found = output === undefined ? undefined : statistics.get(output);
    if (output === undefined || found === undefined) return [node];
    // Weight and bias, which are scaled together or not at all.
    const own = node.inputs.slice(1).filter((name) => name !== "");
    const isOwn = own.every((name) => graph.initializers.has(name) && listOf(readers, name).length === 1);
    const gains = isOwn ? filterGains(graph, node) : undefined;
    if (gains !== undefined) {
      for (const name of own) store(name, scaleRows(entryOf(graph.initializers, name), gains));
    }
    const raw = fresh(`${output}/raw`);
    const parameters = Object.entries(undoing(found, gains)).map(([part, tensor]) =>
      store(fresh(`${output}/${part}`), tensor),
    );
    const normalization: Node = {
      name: fresh(`${output}/BatchNormalization`),
      op: "BatchNormalization",
      domain: "",
      inputs: [raw, ...parameters],
      outputs: [output],
      attributes: attributes({ epsilon: float(EPSILON), momentum: float(0.9) }),
    };
    return [{ ...node, outputs: [raw, ...node.outputs.slice(1)] }, normalization];
  });
  return { ...graph, nodes, initializers };
}

/** The factor by which each filter is scaled; undefined where the weight is no float32 constant. */
function filterGains(graph: Graph, conv: Node): readonly number[] | undefined {
  const layer = denseLayer(graph, conv);
  if (typeof layer === "string") return undefined;
  const rows = rowsOf(entryOf(graph.initializers, layer.weight));
  return rows.map((row) => {
    const norm = Math.hypot(...row);
    return norm < DEAD_NORM ? 1 : FILTER_NORM / norm;
  });
}

/** The slices of a tensor along its first axis. */
function rowsOf(tensor: Tensor): readonly Float32Array[] {
  const count = at(tensor.dims, 0);
  const data = float32Data(tensor);
  const length = elementCount(tensor.dims.slice(1));
  return Array.from({ length: count }, (_, row) => data.subarray(row * length, (row + 1) * length));
}

function scaleRows(tensor: Tensor, gains: readonly number[]): Tensor {
  const scaled = rowsOf(tensor).flatMap((row, index) => [...row.map((value) => value * at(gains, index))]);
  return float32Tensor(tensor.dims, scaled);
}

/**
 * The normalisation, in ONNX's order of inputs, of g·x that gives back x: mean g·m, variance g²·v,
 * scale sqrt(g²·v + eps) / g, bias m.
 */
function undoing(
  { mean, variance }: ChannelStatistics,
  gains: readonly number[] | undefined,
): Record<string, Tensor> {
  const vector = (values: readonly number[]): Tensor => float32Tensor([values.length], values);
  const gain = (channel: number): number => (gains === undefined ? 1 : at(gains, channel));
  const scaled = variance.map((value, channel) => Math.fround(gain(channel) ** 2 * value));
  return {
    scale: vector(scaled.map((value, channel) => Math.sqrt(value + EPSILON) / gain(channel))),
    bias: vector(mean),
    mean: vector(mean.map((value, channel) => gain(channel) * value)),
    variance: vector(scaled),
  };
}
