import { inputOf, listOf, outputOf } from "../../graph/at.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { linkGraph } from "../../graph/links.js";
import { everything, type InitializerMapping, type KeptElements } from "../../graph/mapping.js";
import { removeDeadNodes } from "../../graph/passes/remove_dead_nodes.js";
import { type Selection, selectAxes } from "../../graph/select.js";
import { float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Tensor, ValueInfo, ValueType } from "../../graph/types.js";
import type { LaneEditor } from "../../ops/core/channels.js";
import { analyseChannels, type ChannelAnalysis } from "./analysis.js";
import { checkAgainst, type ShrinkPlan } from "./plan.js";

/**
 * The graph with only the lanes that the plan keeps: parameters sliced, constants folded into biases,
 * parameters of Slice, Split, Pad, Reshape and the like counted anew. Outputs agree to float rounding. Inputs,
 * outputs and all values keep their names; an initializer keeps its name for its first reader.
 * @throws PenniError "internal" if the plan does not fit this graph (`checkPlan`).
 */
export function applyShrink(graph: Graph, plan: ShrinkPlan): Graph {
  const analysis = analyseChannels(graph, plan.mode);
  checkAgainst(analysis, plan);
  return rewriteGraph(analysis, plan).graph;
}

/** A smaller graph, and where its initializers come from. */
export interface Shrunk {
  readonly graph: Graph;
  readonly mapping: InitializerMapping;
}

/** A smaller graph, and by node of the old one what took its place; nodes that are missing stayed as they were. */
export interface Rewritten extends Shrunk {
  readonly rewritten: ReadonlyMap<Node, readonly Node[]>;
}

/** `applyShrink` for a plan that was made from, and checked against, this very analysis. */
export function rewriteGraph(analysis: ChannelAnalysis, plan: ShrinkPlan): Rewritten {
  const { graph, flows } = analysis;
  const store = new InitializerStore(graph);
  const replaced = new Set<Node>();
  const rewritten = new Map<Node, readonly Node[]>();
  for (const [node, flow] of flows) {
    const touched = [...node.inputs, ...node.outputs].some((name) => plan.kept.has(name));
    if (!touched && flow.simplifies !== true) continue;
    rewritten.set(node, flow.rewrite(editorOf(analysis, plan, node, store)));
    const decomposition = analysis.decompositions.get(node);
    if (decomposition !== undefined) replaced.add(decomposition.matmul).add(decomposition.reshape);
  }
  for (const node of replaced) rewritten.set(node, []);
  const nodes = graph.nodes.flatMap((node) => rewritten.get(node) ?? [node]);
  const valueInfo = declaredTypes(analysis, plan);
  const small = removeDeadNodes({ ...graph, nodes, initializers: store.result(), valueInfo });
  return { graph: small, mapping: store.mapping(small), rewritten };
}

/**
 * What the file declares of values that are left: behind an operator that Penni does not know nothing else tells their
 * types. The weights of decomposed layers may have other dimensions now.
 */
function declaredTypes(
  { graph, decompositions }: ChannelAnalysis,
  { kept }: ShrinkPlan,
): ReadonlyMap<string, ValueInfo> {
  const weights = [...decompositions.values()].flatMap(({ matmul, reshape }) => [matmul, reshape]);
  const gone = new Set(weights.flatMap(({ outputs }) => outputs));
  const declared = [...graph.valueInfo].flatMap(([name, info]) => {
    const lanes = kept.get(name);
    if (gone.has(name)) return [];
    return [
      [name, lanes === undefined ? info : { ...info, type: withLanes(info.type, lanes.length) }] as const,
    ];
  });
  return new Map(declared);
}

function withLanes(type: ValueType | undefined, lanes: number): ValueType | undefined {
  return type?.shape === undefined ? type : { ...type, shape: type.shape.with(1, lanes) };
}

function editorOf(
  { lanes }: ChannelAnalysis,
  plan: ShrinkPlan,
  node: Node,
  store: InitializerStore,
): LaneEditor {
  const kept = (name: string): readonly number[] => {
    const count = lanes.get(name);
    if (count === undefined) {
      throw new PenniError("internal", `value "${name}" has no channels`, {
        node: node.name,
        op: node.op,
      });
    }
    return plan.kept.get(name) ?? Array.from({ length: count }, (_, lane) => lane);
  };
  return {
    input: (port) => kept(inputOf(node, port)),
    output: (port) => kept(outputOf(node, port)),
    select: (name, elements, adjust) => store.select(name, elements, adjust),
    write: (name, tensor) => store.write(name, tensor),
    add: (stem, tensor) => store.add(stem, tensor),
    fresh: (stem) => store.fresh(stem),
  };
}

/** Initializers while they are rewritten: one that several nodes read gets a copy per distinct new content. */
class InitializerStore {
  private readonly initializers: Map<string, Tensor>;
  /** Origins of what was written; undefined for what has none. */
  private readonly origins = new Map<string, KeptElements | undefined>();
  private readonly readers: ReadonlyMap<string, readonly Node[]>;
  private readonly outputNames: ReadonlySet<string>;
  private readonly copies = new Map<string, readonly string[]>();
  readonly fresh: (stem: string) => string;

  constructor(private readonly graph: Graph) {
    const links = linkGraph(graph);
    this.initializers = new Map(graph.initializers);
    this.readers = links.readers;
    this.outputNames = links.outputNames;
    this.fresh = freshNames(usedNames(graph));
  }

  select(name: string, kept: Selection, adjust?: (elements: Float32Array) => void): string {
    const source = this.graph.initializers.get(name);
    if (source === undefined) throw new PenniError("internal", `there is no initializer "${name}"`);
    const selected = selectAxes(source, kept);
    const stored = adjust === undefined ? { tensor: selected, folded: false } : adjusted(selected, adjust);
    const target = this.place(name, stored.tensor);
    this.origins.set(target, { source: name, dims: source.dims, kept, folded: stored.folded });
    return target;
  }

  write(name: string, tensor: Tensor): string {
    const target = this.place(name, tensor);
    this.origins.set(target, undefined);
    return target;
  }

  private place(name: string, tensor: Tensor): string {
    const alone = listOf(this.readers, name).length === 1 && !this.outputNames.has(name);
    if (alone) {
      this.initializers.set(name, tensor);
      return name;
    }
    const copies = listOf(this.copies, name);
    const candidates = [name, ...copies];
    const equal = candidates.find((candidate) => sameTensor(this.initializers.get(candidate), tensor));
    if (equal !== undefined) return equal;
    const copy = this.add(name, tensor);
    this.copies.set(name, [...copies, copy]);
    return copy;
  }

  add(stem: string, tensor: Tensor): string {
    const name = this.fresh(stem);
    this.initializers.set(name, tensor);
    this.origins.set(name, undefined);
    return name;
  }

  result(): ReadonlyMap<string, Tensor> {
    return this.initializers;
  }

  /** Origins of the initializers that are left in the rewritten graph. */
  mapping(rewritten: Graph): InitializerMapping {
    const origins = new Map<string, KeptElements>();
    for (const [name, { dims }] of rewritten.initializers) {
      const origin = this.origins.has(name) ? this.origins.get(name) : everything(name, dims);
      if (origin !== undefined) origins.set(name, origin);
    }
    return origins;
  }
}

/** The adjusted tensor, and whether adjusting changed any value. */
function adjusted(
  tensor: Tensor,
  adjust: (elements: Float32Array) => void,
): { readonly tensor: Tensor; readonly folded: boolean } {
  const before = float32Data(tensor);
  const elements = Float32Array.from(before);
  adjust(elements);
  const folded = elements.some((value, at) => value !== before[at]);
  return { tensor: float32Tensor(tensor.dims, elements), folded };
}

function sameTensor(a: Tensor | undefined, b: Tensor): boolean {
  return (
    a?.type === b.type &&
    a.dims.length === b.dims.length &&
    a.dims.every((dim, axis) => dim === b.dims[axis]) &&
    a.bytes.length === b.bytes.length &&
    a.bytes.every((byte, at) => byte === b.bytes[at])
  );
}
