import { hasOutput, inputOf, outputOf } from "../../graph/at.js";
import { capturedNames } from "../../graph/links.js";
import { ofOutput } from "../../graph/operands.js";
import type { Graph, Node, Shape } from "../../graph/types.js";
import { namesRead } from "../../graph/verify.js";
import type { NodeContext } from "../core/context.js";
import { standardOpset } from "../core/definition.js";
import { inferGraph, nodeContext } from "../inference/infer.js";
import { isInferenceDropout } from "../operators/dropout.js";
import { padMargins } from "../operators/pad.js";
import { isWholeSlice } from "../operators/slice.js";
import { permutation } from "../operators/transpose.js";

/** Whether a node's first output provably equals its first input. */
type IdentityTest = (context: NodeContext, output: Shape | undefined) => boolean;

const sameShape: IdentityTest = ({ inputs: [x] }, output) =>
  x?.shape !== undefined &&
  x.shape.length === output?.length &&
  x.shape.every((dim, axis) => dim !== undefined && dim === output[axis]);

const identityTests: ReadonlyMap<string, IdentityTest> = new Map<string, IdentityTest>(
  Object.entries({
    Identity: () => true,
    Dropout: isInferenceDropout,
    Reshape: sameShape,
    Flatten: sameShape,
    Squeeze: sameShape,
    Unsqueeze: sameShape,
    Expand: sameShape,
    Tile: sameShape,
    Concat: ({ node }) => node.inputs.length === 1,
    Split: ({ node }) => node.outputs.length === 1,
    Slice: isWholeSlice,
    Transpose: ({ node, inputs: [x] }) =>
      x?.shape !== undefined && permutation(node, x.shape.length).every((from, axis) => from === axis),
    Pad: (context) => {
      const rank = context.inputs[0]?.shape?.length;
      const margins = rank === undefined ? undefined : padMargins(context, rank);
      return margins !== undefined && [...margins.begins, ...margins.ends].every((margin) => margin === 0);
    },
  }),
);

/**
 * Removes nodes that provably return their input: Identity, Dropout at inference, Cast to the same type,
 * and Reshape, Transpose, Pad, Slice, ... that change nothing. The graph's inputs and outputs keep their names.
 */
export function removeIdentities(
  graph: Graph,
  { keepsDropout = false }: { readonly keepsDropout?: boolean } = {},
): Graph {
  const found = findIdentities(graph);
  const identities = keepsDropout ? new Set([...found].filter(({ op }) => op !== "Dropout")) : found;
  if (identities.size === 0) return graph;
  const aliases = aliasNames(graph, identities);
  if (aliases.removed.size === 0) return graph;
  const rename = (name: string): string => aliases.names.get(name) ?? name;
  const nodes = graph.nodes
    .filter((node) => !aliases.removed.has(node))
    .map((node) => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }));
  const valueInfo = new Map([...graph.valueInfo].filter(([name]) => !aliases.names.has(name)));
  return { ...graph, nodes, valueInfo };
}

function findIdentities(graph: Graph): ReadonlySet<Node> {
  const { types, values } = inferGraph(graph);
  const opset = standardOpset(graph);
  const read = new Set([...graph.nodes.flatMap(namesRead), ...graph.outputs.map(({ name }) => name)]);
  const isIdentity = (node: Node): boolean => {
    const isStandard = node.domain === "" || node.domain === "ai.onnx";
    if (!isStandard || node.outputs.slice(1).some((name) => read.has(name))) return false;
    const context = nodeContext(node, opset, types, values);
    const output = ofOutput(types, node, 0);
    const [input] = context.inputs;
    if (node.op === "Cast") return input !== undefined && input.elementType === output?.elementType;
    return identityTests.get(node.op)?.(context, output?.shape) ?? false;
  };
  return new Set(graph.nodes.filter(isIdentity));
}

interface Aliases {
  /** New names of values whose names change. */
  readonly names: ReadonlyMap<string, string>;
  readonly removed: ReadonlySet<Node>;
}

/** Decides which identities go and under which name their value lives on. */
function aliasNames(graph: Graph, identities: ReadonlySet<Node>): Aliases {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  // Subgraphs are opaque: a name that one of them reads cannot change.
  const captured = new Set(graph.nodes.flatMap(capturedNames));
  const computed = new Set(graph.nodes.flatMap((node) => node.outputs));
  const sources = new Map<string, string>();
  const renamed = new Map<string, string>();
  const removed = new Set<Node>();
  for (const node of graph.nodes) {
    if (!identities.has(node) || !hasOutput(node, 0) || captured.has(outputOf(node, 0))) continue;
    const y = outputOf(node, 0);
    const input = inputOf(node, 0);
    const x = sources.get(input) ?? input;
    if (outputs.has(y)) {
      // The value takes the output's name, unless it has a name of its own to keep.
      if (!computed.has(x) || outputs.has(x) || captured.has(x) || renamed.has(x)) continue;
      renamed.set(x, y);
    }
    sources.set(y, x);
    removed.add(node);
  }
  const names = new Map(renamed);
  for (const [y, x] of sources) names.set(y, renamed.get(x) ?? x);
  return { names, removed };
}
