import { attributes, float } from "../graph/attributes.js";
import { freshNames, usedNames } from "../graph/edit.js";
import { float32Tensor } from "../graph/tensor.js";
import type { Graph, Node, Tensor } from "../graph/types.js";
import { convolutions } from "../ops/weights.js";

/** Mean and variance of every channel of a value. */
export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
}

const EPSILON = 1e-5;

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
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const [output] = node.outputs;
    const found = output === undefined ? undefined : statistics.get(output);
    if (output === undefined || found === undefined) return [node];
    const raw = fresh(`${output}/raw`);
    const inputs = Object.entries(identityParameters(found)).map(([part, tensor]) => {
      const name = fresh(`${output}/${part}`);
      initializers.set(name, tensor);
      return name;
    });
    const normalization: Node = {
      name: fresh(`${output}/BatchNormalization`),
      op: "BatchNormalization",
      domain: "",
      inputs: [raw, ...inputs],
      outputs: [output],
      attributes: attributes({ epsilon: float(EPSILON), momentum: float(0.9) }),
    };
    return [{ ...node, outputs: [raw, ...node.outputs.slice(1)] }, normalization];
  });
  return { ...graph, nodes, initializers };
}

/** scale = sqrt(var + eps) and bias = mean undo the normalisation; in ONNX's order of inputs. */
function identityParameters({ mean, variance }: ChannelStatistics): Record<string, Tensor> {
  const vector = (values: readonly number[]): Tensor => float32Tensor([values.length], values);
  return {
    scale: vector(variance.map((value) => Math.sqrt(Math.fround(value) + EPSILON))),
    bias: vector(mean),
    mean: vector(mean),
    variance: vector(variance),
  };
}
