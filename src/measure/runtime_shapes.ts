import type { OrtTensor, Session, SessionOptions } from "../execute/engine.js";
import { orDefault } from "../graph/at.js";
import { BATCH_SYMBOL } from "../graph/batch_symbol.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch, fixOpenBatch } from "../graph/passes/fix_input_shape.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import type { Dim, Graph, Node, ValueInfo, ValueType } from "../graph/types.js";
import { namesRead } from "../graph/verify.js";
import { ruleOf, standardOpset } from "../ops/core/definition.js";
import { isStatic } from "../ops/core/dims.js";
import { hasCountedSize } from "../ops/inference/counted_sizes.js";
import { type Inference, inferGraph, inferNode, nodeContext } from "../ops/inference/infer.js";
import { findOp } from "../ops/inference/registry.js";
import { inlineBranches } from "../ops/passes/inline_branches.js";
import { refuseEndlessLoops } from "./endless_loops.js";
import { longLoops } from "./long_loops.js";
import { refuseOnlySeveral } from "./only_several.js";
import { randomFeeds } from "./random_feeds.js";
import { withTrueBatch } from "./working_batch.js";

/** A graph with the shapes that only running it could tell. */
export interface ShapedGraph {
  readonly graph: Graph;
  /** The first node of each operator that ONNX Runtime does not have either: what is behind them has no shapes. */
  readonly missing: readonly Node[];
  /** Loops that were not run, because they may never end: what is behind them has the shapes that the file declares. */
  readonly skipped: readonly Node[];
}

/** Batches that are unlike, so that a dimension that follows the batch shows. */
const BATCHES = [2, 3] as const;

/**
 * Declares the shapes of values that are computed by operators without a shape rule, or depend on such, where counting
 * or training would need them: the network runs twice on the CPU, on random numbers, with two batch sizes where it takes
 * them. A dimension that was the batch both times is the batch's name, one that was the same number both times is that
 * number, any other stays open, and so does whatever is behind an operator that counts something in its inputs, or that
 * may loop for long. A graph that needs nothing, or whose inputs have open dimensions besides the batch, is returned as
 * it is.
 * @throws PenniError as `refuseOnlySeveral`
 */
export async function withRuntimeShapes(graph: Graph): Promise<ShapedGraph> {
  refuseOnlySeveral(graph);
  const isOpen = ({ type }: ValueInfo): boolean => !isStatic(type?.shape?.slice(1));
  if (graph.inputs.some(isOpen) || !lacksShapes(graph)) return { graph, missing: [], skipped: [] };
  const long = longInSomeRun(graph);
  const skipped = graph.nodes.filter((node) => long.has(node));
  const ending = skipped.length === 0 ? graph : withoutNodes(graph, (node) => long.has(node));
  const { runnable, missing } = await runnablePart(ending);
  const names = wantedNames(runnable, inferGraph(graph));
  const measured = await measure(runnable, names);
  return { graph: declare(graph, measured), missing, skipped };
}

/** A number of turns may follow the batch. */
function longInSomeRun(graph: Graph): ReadonlySet<Node> {
  const runs = [...BATCHES.map((batch) => fixBatch(graph, batch)), fixOpenBatch(graph, 1)];
  return new Set(runs.flatMap((run) => [...longLoops(run)]));
}

/**
 * `withRuntimeShapes` for a network that is to be run, with a batch of one stated where it takes no other.
 * @throws PenniError "unsupported" naming a node whose operator ONNX Runtime does not have, or that loops without end
 */
export async function shapedForRuns(graph: Graph): Promise<Graph> {
  refuseEndlessLoops(graph);
  const { graph: shaped, missing } = await withRuntimeShapes(graph);
  const [first] = missing;
  if (first === undefined) return withTrueBatch(shaped);
  const where = first.domain === "" ? "the standard domain" : `domain "${first.domain}"`;
  throw new PenniError(
    "unsupported",
    "neither Penni nor ONNX Runtime has this operator, so the network cannot be run",
    {
      node: first.name,
      op: first.op,
      expected: "operators that ONNX Runtime runs",
      found: `${first.op} of ${where}`,
      advice:
        "penni compress without labels (--preset calibrate, --loss distill) compresses what is before it",
    },
  );
}

/**
 * Whether a run could tell anything that is needed. A branch that is known to be taken is looked at in place of its If,
 * for the batch as it is given and for one image, as its condition may depend on it.
 */
function lacksShapes(graph: Graph): boolean {
  const written = inlineBranches(graph);
  if (hidesShapes(fixBatch(written, 1))) return true;
  return written !== graph && hidesShapes(inlineBranches(fixBatch(graph, 1)));
}

/** Whether arithmetic, or an output, is behind an operator that Penni does not know and whose result has no shape. */
function hidesShapes(fixed: Graph): boolean {
  const { types } = inferGraph(fixed);
  const isOpen = (name: string): boolean => name !== "" && !isStatic(types.get(name)?.shape);
  const obscure = new Set<string>();
  for (const node of fixed.nodes) {
    const isBehind = findOp(node) === undefined || namesRead(node).some((name) => obscure.has(name));
    if (!isBehind) continue;
    if (ruleOf(findOp(node)?.cost) !== undefined && [...node.inputs, ...node.outputs].some(isOpen))
      return true;
    for (const name of node.outputs) if (isOpen(name)) obscure.add(name);
  }
  return fixed.outputs.some(({ name }) => obscure.has(name));
}

/** Values whose shapes are worth asking for: not yet known, and the same for all data. */
function wantedNames(graph: Graph, { types }: Inference): readonly string[] {
  const counted = new Set<string>();
  const optional = new Set<string>();
  const names: string[] = [];
  for (const node of graph.nodes) {
    if (givesOptional(node, optional)) {
      for (const name of node.outputs) optional.add(name);
      continue;
    }
    const isCounted = hasCountedSize(node) || namesRead(node).some((name) => counted.has(name));
    for (const name of node.outputs) {
      if (name === "" || isComplete(types.get(name))) continue;
      if (isCounted) counted.add(name);
      else names.push(name);
    }
  }
  return names;
}

/** The runtime hands over what is in an optional value, as if it were a tensor, but refuses it where it is declared so. */
const givesOptional = ({ op, inputs }: Node, optional: ReadonlySet<string>): boolean =>
  op === "Optional" || (op === "Identity" && inputs.some((name) => optional.has(name)));

function isComplete(type: ValueType | undefined): boolean {
  return type?.shape?.every((dim) => dim !== undefined) ?? false;
}

interface RunnablePart {
  readonly runnable: Graph;
  readonly missing: readonly Node[];
}

/** The graph without operators that ONNX Runtime does not have, and what depends on them. */
async function runnablePart(graph: Graph): Promise<RunnablePart> {
  const missing: Node[] = [];
  for (let runnable = graph; ; ) {
    const problem = runnable.nodes.length === 0 ? undefined : await loadProblem(runnable);
    if (problem === undefined) return { runnable, missing };
    const culprit =
      unknownNodes(runnable).find(({ op }) => problem.includes(op)) ?? unknownNodes(runnable)[0];
    if (culprit === undefined) return { runnable: withoutNodes(runnable, () => true), missing };
    missing.push(culprit);
    runnable = withoutNodes(runnable, ({ op, domain }) => op === culprit.op && domain === culprit.domain);
  }
}

const unknownNodes = (graph: Graph): readonly Node[] =>
  graph.nodes.filter((node) => findOp(node) === undefined);

/** Not optimized: what is asked for must not be merged into something else. */
const AS_IT_IS: SessionOptions = { optimization: "disabled", threads: 1 };

/** Few networks come here, so the runtime is loaded only now. */
async function open(graph: Graph): Promise<Session> {
  const { openSession } = await import("../execute/node.js");
  return openSession(graph, AS_IT_IS);
}

async function loadProblem(graph: Graph): Promise<string | undefined> {
  try {
    const session = await open(graph);
    await session.release();
    return undefined;
  } catch (error) {
    if (error instanceof PenniError) return error.message;
    throw error;
  }
}

/** The graph without some nodes and everything that depends on them; its outputs are what is left of the graph's. */
function withoutNodes(graph: Graph, isDropped: (node: Node) => boolean): Graph {
  const lost = new Set<string>();
  const nodes = graph.nodes.filter((node) => {
    if (!isDropped(node) && !namesRead(node).some((name) => lost.has(name))) return true;
    for (const name of node.outputs) if (name !== "") lost.add(name);
    return false;
  });
  const last = nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== "")).slice(-1);
  const kept = graph.outputs.filter(({ name }) => !lost.has(name));
  const outputs = kept.length > 0 ? kept : last.map((name) => ({ name, type: undefined }));
  return { ...graph, nodes, outputs };
}

/** Types by value name, as one or two runs show them. */
async function measure(graph: Graph, names: readonly string[]): Promise<ReadonlyMap<string, ValueType>> {
  if (names.length === 0) return new Map();
  const opened = (batch: number): Graph => fixBatch(graph, batch);
  try {
    const [first, second] = [
      await typesIn(opened(BATCHES[0]), names, 1),
      await typesIn(opened(BATCHES[1]), names, 2),
    ];
    return merged(first, second, batchName(graph));
  } catch (error) {
    if (!(error instanceof PenniError)) throw error;
  }
  try {
    const own = fixOpenBatch(graph, 1);
    return merged(await typesIn(own, names, 1), await typesIn(own, names, 2), undefined);
  } catch (error) {
    if (error instanceof PenniError) return new Map();
    throw error;
  }
}

/** What the model calls its batch, or Penni's name for it. */
function batchName(graph: Graph): string {
  const names = new Set(graph.inputs.flatMap(({ type }) => orDefault(type?.shape, []).slice(0, 1)));
  const [name] = names;
  return names.size === 1 && typeof name === "string" ? name : BATCH_SYMBOL;
}

function merged(
  first: ReadonlyMap<string, ValueType>,
  second: ReadonlyMap<string, ValueType>,
  batch: string | undefined,
): ReadonlyMap<string, ValueType> {
  const dimOf = (a: Dim, b: Dim): Dim => {
    if (a === b) return a === 0 ? undefined : a;
    return batch !== undefined && a === BATCHES[0] && b === BATCHES[1] ? batch : undefined;
  };
  const types = new Map<string, ValueType>();
  for (const [name, { elementType, shape }] of first) {
    const other = second.get(name)?.shape;
    if (shape?.length !== other?.length) continue;
    types.set(name, { elementType, shape: shape?.map((dim, axis) => dimOf(dim, other?.[axis])) });
  }
  return types;
}

/** The types of some values in one run on random numbers; those that are no tensors have none. */
async function typesIn(
  graph: Graph,
  names: readonly string[],
  seed: number,
): Promise<ReadonlyMap<string, ValueType>> {
  const outputs = names.map((name) => ({ name, type: undefined }));
  const alone = removeDeadNodes({ ...graph, outputs, valueInfo: new Map() });
  const session = await open(alone);
  try {
    const feeds = randomFeeds(alone.inputs, seed);
    const types = new Map<string, ValueType>();
    const take = (found: Readonly<Record<string, OrtTensor>>): void => {
      for (const [name, { type, dims }] of Object.entries(found)) types.set(name, typeOf(type, dims));
    };
    try {
      take(await session.run(feeds, names));
    } catch (error) {
      if (!(error instanceof PenniError && NO_TENSOR.test(error.message))) throw error;
      for (const name of names) take(await tensorOnly(() => session.run(feeds, [name])));
    }
    return types;
  } finally {
    await session.release();
  }
}

/** How the runtime says that it cannot hand over a sequence or an optional value. */
const NO_TENSOR = /non tensor type|not a tensor/i;

async function tensorOnly(run: () => ReturnType<Session["run"]>): ReturnType<Session["run"]> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof PenniError && NO_TENSOR.test(error.message)) return {};
    throw error;
  }
}

function typeOf(type: OrtTensor["type"], shape: readonly number[]): ValueType {
  return { elementType: type === "int4" || type === "uint4" ? "other" : type, shape };
}

/** Declares the types that the rules do not give from those of a node's inputs. */
function declare(graph: Graph, measured: ReadonlyMap<string, ValueType>): Graph {
  if (measured.size === 0) return graph;
  const info = ([name, type]: readonly [string, ValueType]): [string, ValueInfo] => [name, { name, type }];
  const all: Graph = { ...graph, valueInfo: new Map([...graph.valueInfo, ...[...measured].map(info)]) };
  const { types, values } = inferGraph(all);
  const opset = standardOpset(graph);
  const followed = new Set<string>();
  for (const node of graph.nodes) {
    const inferred = inferNode(nodeContext(node, opset, types, values));
    node.outputs.forEach((name, index) => {
      if (isComplete(inferred[index])) followed.add(name);
    });
  }
  const needed = [...measured].filter(([name]) => !followed.has(name));
  return { ...graph, valueInfo: new Map([...graph.valueInfo, ...needed.map(info)]) };
}
