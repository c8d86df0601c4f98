import { at, inputOf, listOf, present } from "../../graph/at.js";
import { withInitializers } from "../../graph/edit.js";
import { capturedNames, linkGraph } from "../../graph/links.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { exactScale } from "../families/weight_grid.js";

/** Neighbours in a picture are alike: the correlation of two pixels is this to the power of their distance. */
const ALIKE = 0.8;

/** What a kernel that gives nothing counts as. */
const LEAST = 1e-12;

/**
 * The same network with its coefficients and bases scaled against each other, so that all coefficients of an output can
 * be rounded by one step: a basis kernel that adds neighbours up gives larger maps than one that subtracts them, and an
 * error in its coefficients counts for more. A kernel is divided by the square root of what it makes of a picture, and its
 * coefficients are multiplied by it. (By the whole of it the outputs err more again.) Factors that something else reads, and
 * those that are whole multiples of a scale already, stay as they are.
 */
export function balanceFactors(graph: Graph): Graph {
  const { readers, outputNames } = linkGraph(graph);
  const captured = new Set(graph.nodes.flatMap(capturedNames));
  const isOwn = (name: string): boolean =>
    listOf(readers, name).length === 1 && !outputNames.has(name) && !captured.has(name);
  const changed = graph.nodes.flatMap((node): readonly (readonly [string, Tensor])[] => {
    const factors = factorsOf(graph, node);
    if (factors === undefined || ![0, 1].every((input) => isOwn(inputOf(node, input)))) return [];
    const [coefs, basis] = balanced(factors);
    return [
      [inputOf(node, 0), coefs],
      [inputOf(node, 1), basis],
    ];
  });
  return changed.length === 0 ? graph : withInitializers(graph, changed);
}

/** Coefficients [outputs, ..., d] and a basis [d, taps]. */
type Factors = readonly [coefs: Tensor, basis: Tensor];

/** Those that a node multiplies, if they can be scaled and are on no grid. */
function factorsOf({ initializers }: Graph, node: Node): Factors | undefined {
  if (node.op !== "MatMul" || node.domain !== "") return undefined;
  const [coefs, basis] = [0, 1].map((input) => initializers.get(inputOf(node, input)));
  if (coefs?.type !== "float32" || basis?.type !== "float32") return undefined;
  if (basis.dims.length !== 2 || coefs.dims.at(-1) !== basis.dims[0] || coefs.bytes.length === 0)
    return undefined;
  const areFinite = [coefs, basis].every((tensor) => float32Data(tensor).every(Number.isFinite));
  return areFinite && !isOnGrid(coefs) ? [coefs, basis] : undefined;
}

function isOnGrid(coefs: Tensor): boolean {
  const data = float32Data(coefs);
  const outputs = at(coefs.dims, 0);
  const each = data.length / outputs;
  return Array.from({ length: outputs }, (_, output) =>
    data.subarray(output * each, (output + 1) * each).filter((value) => value !== 0),
  ).every((values) => exactScale(values) !== undefined);
}

function balanced([coefs, basis]: Factors): Factors {
  const [d, taps] = [at(basis.dims, 0), at(basis.dims, 1)];
  const kernels = float32Data(basis);
  const factors = Array.from({ length: d }, (_, kernel) =>
    Math.sqrt(sizeOfMaps(kernels.subarray(kernel * taps, (kernel + 1) * taps))),
  );
  return [
    float32Tensor(
      coefs.dims,
      float32Data(coefs).map((value, index) => value * present(factors[index % d])),
    ),
    float32Tensor(
      basis.dims,
      kernels.map((value, index) => value / present(factors[Math.floor(index / taps)])),
    ),
  ];
}

/** The root mean square of what a kernel makes of a picture, whose pixels have that of 1; 1 for a kernel of zeros. */
function sizeOfMaps(kernel: Float32Array): number {
  const side = Math.sqrt(kernel.length);
  const width = Number.isInteger(side) ? side : kernel.length;
  let sum = 0;
  kernel.forEach((a, i) => {
    kernel.forEach((b, j) => {
      const rows = Math.floor(i / width) - Math.floor(j / width);
      sum += a * b * ALIKE ** Math.hypot(rows, (i % width) - (j % width));
    });
  });
  return sum > LEAST ? Math.sqrt(sum) : 1;
}
