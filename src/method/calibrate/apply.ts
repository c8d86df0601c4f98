import { at, entryOf, hasInput, inputOf, outputOf, present } from "../../graph/at.js";
import { freshNames, usedNames, withInitializers } from "../../graph/edit.js";
import { linkGraph } from "../../graph/links.js";
import { inputOrOmitted } from "../../graph/operands.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node } from "../../graph/types.js";
import type { LayerMoments } from "../../measure/moments.js";
import type { CalibrationLayer } from "./layers.js";
import { normalizationAfter } from "./normalization.js";

/** A graph, and how many parameters were added to it. */
interface Grown {
  readonly graph: Graph;
  readonly added: number;
}

/**
 * The graph with another weight for a layer; for each of its convolutions the bias that goes with it.
 * @param spare parameters that new biases may take at most
 */
export function withLayer(
  graph: Graph,
  { convs, weight, K, C, R, S }: CalibrationLayer,
  kernels: Float32Array,
  biases: readonly Float64Array[],
  spare: number,
): Grown {
  const changed = withInitializers(graph, [[weight, float32Tensor([K, C, R, S], kernels)]]);
  return convs.reduce<Grown>(
    (current, conv, index) => {
      const bias = at(biases, index);
      const { graph: next, added } = withBias(current.graph, outputOf(conv, 0), bias, spare - current.added);
      return { graph: next, added: current.added + added };
    },
    { graph: changed, added: 0 },
  );
}

/** What has to be added to a layer's linear result so that its mean is the wanted one. */
export function biasFor(groups: readonly LayerMoments[], kernels: Float32Array): Float64Array {
  const biases: number[] = [];
  let row = 0;
  for (const { n, outputs, inputMean, targetMean } of groups) {
    for (let k = 0; k < outputs; k++, row += n) {
      let mean = 0;
      for (let i = 0; i < n; i++) mean += present(kernels[row + i]) * present(inputMean[i]);
      biases.push(at(targetMean, k) - mean);
    }
  }
  return Float64Array.from(biases);
}

/**
 * Gives the convolution that computes `output` this bias: in its own where it has one; else in the running mean of
 * the normalization that alone reads it, which costs nothing; else in a new one, if there are parameters to spare.
 */
function withBias(graph: Graph, output: string, bias: Float64Array, spare: number): Grown {
  const links = linkGraph(graph);
  const conv = entryOf(links.producers, output);
  const normalization = normalizationAfter(links, conv);
  if (hasInput(conv, 2)) return { graph: withInput(graph, conv, 2, bias), added: 0 };
  if (normalization === undefined) {
    if (spare < bias.length) return { graph, added: 0 };
    return { graph: withInput(graph, conv, 2, bias), added: bias.length };
  }
  const before = float32Data(entryOf(graph.initializers, inputOf(normalization, 3)));
  const shifted = Float64Array.from(bias, (value, k) => at(before, k) - value);
  return { graph: withInput(graph, normalization, 3, shifted), added: 0 };
}

/** The graph with a constant vector as an input of a node; under a new name, as others may read the old one. */
function withInput(graph: Graph, node: Node, index: number, values: Float64Array): Graph {
  const old = inputOrOmitted(node, index);
  const readers = graph.nodes.filter((other) => other.inputs.includes(old)).length;
  const own = old !== "" && readers === 1 && !graph.outputs.some((output) => output.name === old);
  const name = own ? old : freshNames(usedNames(graph))(`${outputOf(node, 0)}.bias`);
  const inputs = Array.from({ length: Math.max(index + 1, node.inputs.length) }, (_, position) =>
    position === index ? name : inputOrOmitted(node, position),
  );
  const nodes = graph.nodes.map((other) => (other === node ? { ...node, inputs } : other));
  return withInitializers({ ...graph, nodes }, [
    [name, float32Tensor([values.length], Float32Array.from(values))],
  ]);
}
