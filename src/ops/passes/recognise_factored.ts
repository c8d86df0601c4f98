import { hasInput, hasOutput, inputOf, outputOf } from "../../graph/at.js";
import { attributes, int, intAttributeOr, ints, intsAttribute } from "../../graph/attributes.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { type GraphLinks, linkGraph } from "../../graph/links.js";
import { firstOf, ofInput, outputOrOmitted } from "../../graph/operands.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import { float32Data, float32Tensor, int64Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor } from "../../graph/types.js";
import { groupCount } from "../../layers/groups.js";
import { convolutions } from "../../layers/weights.js";

/**
 * The factored form of a layer, one convolution with the same d kernels for every input channel and a 1x1 convolution
 * behind it, as the decomposed layer that it is: Conv(x, Reshape(MatMul(coefs, basis))). Penni writes the factored form
 * where it is faster; read back, the layer has one basis again instead of a copy for each channel. Exact up to
 * rounding, borders included, as the basis has no bias.
 */
export function recogniseFactored(graph: Graph): Graph {
  const links = linkGraph(graph);
  const fresh = freshNames(usedNames(graph));
  const replaced = new Map<Node, readonly Node[]>();
  const added: (readonly [string, Tensor])[] = [];
  for (const pointwise of convolutions(graph)) {
    const pair = factoredPair(links, pointwise);
    if (pair === undefined) continue;
    const written = decomposed(pair, fresh);
    replaced.set(pointwise, written.nodes);
    added.push(...written.initializers);
  }
  if (replaced.size === 0) return graph;
  return removeDeadNodes({
    ...graph,
    nodes: graph.nodes.flatMap((node) => replaced.get(node) ?? [node]),
    initializers: new Map([...graph.initializers, ...added]),
  });
}

interface FactoredPair {
  readonly basisConv: Node;
  readonly pointwise: Node;
  /** [d, R*S]. */
  readonly basis: Float32Array;
  readonly coefs: Float32Array;
  readonly K: number;
  /** Input channels of a group. */
  readonly C: number;
  readonly d: number;
  readonly kernel: readonly [R: number, S: number];
}

function factoredPair(links: GraphLinks, pointwise: Node): FactoredPair | undefined {
  const basisConv = ofInput(links.producers, pointwise, 0);
  const coefs = ofInput(links.graph.initializers, pointwise, 1);
  const bases = basisConv && ofInput(links.graph.initializers, basisConv, 1);
  if (basisConv?.op !== "Conv" || basisConv.domain !== "" || hasInput(basisConv, 2)) return undefined;
  if (!hasInput(basisConv, 0) || !hasOutput(pointwise, 0)) return undefined;
  if (coefs?.type !== "float32" || bases?.type !== "float32") return undefined;
  if (!isPlainPointwise(pointwise, coefs) || isReadElsewhere(links, basisConv)) return undefined;
  const channels = groupCount(basisConv);
  const [maps, own, R, S, ...more] = bases.dims;
  const [K, columns] = firstOf(coefs.dims, 2);
  const groups = groupCount(pointwise);
  if (maps === undefined || own !== 1 || R === undefined || S === undefined || more.length > 0 || R * S === 1)
    return undefined;
  if (channels < 2 || maps % channels !== 0 || channels % groups !== 0) return undefined;
  const [d, C] = [maps / channels, channels / groups];
  if (d < 1 || columns !== C * d) return undefined;
  const all = float32Data(bases);
  const basis = all.slice(0, d * R * S);
  if (!all.every((value, index) => value === basis[index % basis.length])) return undefined;
  return { basisConv, pointwise, basis, coefs: float32Data(coefs), K, C, d, kernel: [R, S] };
}

/** Whether a convolution with this weight sees one position at a time, each once. */
function isPlainPointwise(conv: Node, { dims }: Tensor): boolean {
  const is = (name: string, value: number): boolean =>
    intsAttribute(conv, name)?.every((each) => each === value) !== false;
  return dims.length === 4 && dims[2] === 1 && dims[3] === 1 && is("strides", 1) && is("pads", 0);
}

function isReadElsewhere(links: GraphLinks, conv: Node): boolean {
  const maps = outputOrOmitted(conv, 0);
  return links.outputNames.has(maps) || links.readers.get(maps)?.length !== 1;
}

function decomposed(
  { basisConv, pointwise, basis, coefs, K, C, d, kernel }: FactoredPair,
  fresh: (stem: string) => string,
): { readonly nodes: readonly Node[]; readonly initializers: readonly (readonly [string, Tensor])[] } {
  const stem = outputOf(pointwise, 0);
  const name = (suffix: string): string => fresh(`${stem}.${suffix}`);
  const [left, right, shape, product, weight] = [
    name("coefs"),
    name("basis"),
    name("shape"),
    name("product"),
    name("merged"),
  ];
  const node = (op: string, inputs: readonly string[], output: string): Node => ({
    name: fresh(`${output}/${op}`),
    op,
    domain: "",
    inputs,
    outputs: [output],
    attributes: new Map(),
  });
  const conv: Node = {
    ...pointwise,
    inputs: [inputOf(basisConv, 0), weight, ...pointwise.inputs.slice(2)],
    attributes: new Map([
      ...basisConv.attributes,
      ...attributes({ group: int(intAttributeOr(pointwise, "group", 1)), kernel_shape: ints([...kernel]) }),
    ]),
  };
  return {
    nodes: [node("MatMul", [left, right], product), node("Reshape", [product, shape], weight), conv],
    initializers: [
      [left, float32Tensor([K, C, d], coefs)],
      [right, float32Tensor([d, kernel[0] * kernel[1]], basis)],
      [shape, int64Tensor([4], [K, C, ...kernel])],
    ],
  };
}
