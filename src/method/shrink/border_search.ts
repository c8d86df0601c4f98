import { countOf, entryOf, orDefault } from "../../graph/at.js";
import { identityMapping } from "../../graph/mapping.js";
import type { Graph, Node } from "../../graph/types.js";
import { analyseChannels, type ChannelAnalysis } from "./analysis.js";
import { type Rewritten, rewriteGraph, type Shrunk } from "./apply.js";
import { borderCandidates, mapsBehindNormalization, weightBytes } from "./borders.js";
import {
  changesAnything,
  checkAgainst,
  planFromAnalysis,
  type ShrinkOptions,
  type ShrinkPlan,
} from "./plan.js";

/** A graph shrunk once, and how. */
interface Trial extends Rewritten {
  readonly analysis: ChannelAnalysis;
  readonly plan: ShrinkPlan;
}

/** Up to so many candidates each is tried by itself; more are tried in classes, whatever their number. */
const MOST_SINGLE = 12;
/** Candidates of one class lie apart, so that what each changes can mostly be told. */
const CLASSES = 4;

/** Removes all channels that the plan lets go, and takes maps for constant ones where the model gets smaller by it. */
export function shrinkOnce(graph: Graph, options: ShrinkOptions): Shrunk {
  const plain = shrinkWith(graph, options, new Set());
  if (plain.analysis.mode !== "inference") return plain;
  const candidates = borderCandidates(plain.analysis);
  const search = new BorderSearch(graph, options, plain);
  if (candidates.length <= MOST_SINGLE) for (const value of candidates) search.tryAll([value]);
  else {
    for (let first = 0; first < CLASSES; first++) {
      search.tryAll(candidates.filter((_, index) => index % CLASSES === first));
    }
  }
  const { best } = search;
  return best === plain ? plain : { ...best, graph: mapsBehindNormalization(best.graph) };
}

class BorderSearch {
  best: Trial;
  private mapped: ReadonlySet<string> = new Set();

  constructor(
    private readonly graph: Graph,
    private readonly options: ShrinkOptions,
    plain: Trial,
  ) {
    this.best = plain;
  }

  /** Takes those of some candidates by which the model gets smaller: those that go together are judged together. */
  tryAll(candidates: readonly string[]): void {
    const trial = this.trialWith(candidates);
    if (candidates.length === 1) {
      this.take(candidates, trial);
      return;
    }
    const growth = growthByCandidate(this.graph, this.best, trial, candidates);
    const good = candidates.filter((value) => entryOf(growth, value) < 0);
    if (good.length > 0) this.take(good, good.length === candidates.length ? trial : this.trialWith(good));
  }

  private trialWith(candidates: readonly string[]): Trial {
    return shrinkWith(this.graph, this.options, new Set([...this.mapped, ...candidates]));
  }

  private take(candidates: readonly string[], trial: Trial): void {
    if (weightBytes(trial.graph) >= weightBytes(this.best.graph)) return;
    this.mapped = new Set([...this.mapped, ...candidates]);
    this.best = trial;
  }
}

function shrinkWith(graph: Graph, options: ShrinkOptions, borderMaps: ReadonlySet<string>): Trial {
  const analysis = analyseChannels(graph, options.mode ?? "inference", borderMaps);
  const plan = planFromAnalysis(analysis, options);
  if (!changesAnything(plan)) {
    return { graph, mapping: identityMapping(graph), rewritten: new Map(), analysis, plan };
  }
  checkAgainst(analysis, plan);
  return { ...rewriteGraph(analysis, plan), analysis, plan };
}

/**
 * By how many bytes the part of the model grows that a candidate's map changes. Parts are nodes that touch values of
 * which other channels stay than before; a part that several candidates change counts for each of them.
 */
function growthByCandidate(
  graph: Graph,
  before: Trial,
  after: Trial,
  candidates: readonly string[],
): ReadonlyMap<string, number> {
  const changed = new Set(candidates);
  for (const name of [...before.plan.kept.keys(), ...after.plan.kept.keys()]) {
    if (before.plan.kept.get(name)?.length !== after.plan.kept.get(name)?.length) changed.add(name);
  }
  const parts = new Parts();
  for (const { conv, matmul, reshape } of after.analysis.decompositions.values()) {
    parts.join(conv, matmul);
    parts.join(conv, reshape);
  }
  for (const node of graph.nodes) {
    for (const name of [...node.inputs, ...node.outputs]) if (changed.has(name)) parts.join(node, name);
  }
  const [bytesBefore, bytesAfter] = [bytesByNode(graph, before), bytesByNode(graph, after)];
  const growth = new Map<unknown, number>();
  for (const node of graph.nodes) {
    const grown = entryOf(bytesAfter, node) - entryOf(bytesBefore, node);
    const part = parts.of(node);
    growth.set(part, countOf(growth, part) + grown);
  }
  return new Map(candidates.map((value) => [value, entryOf(growth, parts.of(value))]));
}

/** Bytes of the initializers that stand for each node's in a shrunk graph, each counted for its first reader. */
function bytesByNode(graph: Graph, { graph: small, rewritten }: Trial): ReadonlyMap<Node, number> {
  const counted = new Set<string>();
  const bytesOf = (name: string): number => {
    if (counted.has(name)) return 0;
    counted.add(name);
    // Nothing for what is no constant.
    return orDefault(small.initializers.get(name)?.bytes.byteLength, 0);
  };
  return new Map(
    graph.nodes.map((node) => {
      const inputs = (rewritten.get(node) ?? [node]).flatMap((each) => each.inputs);
      return [node, inputs.reduce((sum, name) => sum + bytesOf(name), 0)] as const;
    }),
  );
}

/** Nodes and values that hang together (union-find). */
class Parts {
  private readonly parents = new Map<unknown, unknown>();

  join(one: unknown, other: unknown): void {
    const [a, b] = [this.of(one), this.of(other)];
    if (a !== b) this.parents.set(a, b);
  }

  of(member: unknown): unknown {
    let at = member;
    for (let parent = this.parents.get(at); parent !== undefined; parent = this.parents.get(at)) {
      const grandparent = this.parents.get(parent);
      if (grandparent !== undefined) this.parents.set(at, grandparent);
      at = parent;
    }
    return at;
  }
}
