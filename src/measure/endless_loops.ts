import { intAttribute, intsAttribute } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { fixOpenBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph, Node } from "../graph/types.js";
import type { Body } from "../onnx/read.js";
import { knownNumbers } from "../ops/core/rearrange.js";
import type { ForwardInference } from "../ops/inference/infer.js";
import { bodyOf, branchScope, hasSubgraph, inferredAnyhow, isStandard, TRUE } from "./long_loops.js";

/** A loop of any network that makes sense has made fewer turns than this: at a few microseconds each, a minute. */
const MOST_TURNS_OF_A_RUN = 2 ** 24;

/**
 * Refuses a network that is to be run but would not come to an end: with a loop whose number of turns is known before
 * it runs, and is enormous, or that goes on whatever it computes. A loop that ends when its data say so passes.
 * @throws PenniError "unsupported" naming the loop
 */
export function refuseEndlessLoops(given: Graph): void {
  if (!given.nodes.some(hasSubgraph)) return;
  // A number of turns may follow the batch.
  const graph = fixOpenBatch(given, 1);
  const known = inferredAnyhow(graph);
  for (const node of graph.nodes) {
    const turns = turnsOf(node, graph, known);
    if (turns <= MOST_TURNS_OF_A_RUN) continue;
    throw new PenniError("unsupported", "this loops without an end, so the network is not run", {
      node: node.name,
      op: node.op,
      expected: `a loop of at most ${MOST_TURNS_OF_A_RUN.toLocaleString("en-US")} turns, or one that its data end`,
      found: Number.isFinite(turns)
        ? `${turns} turns`
        : "a condition that is always true, and no number of turns",
      advice: "Export the model again; penni inspect shows what can be known without running it",
    });
  }
}

/** How many turns a node makes at least, with those of loops inside; 1 for what does not loop, or may end at any time. */
function turnsOf(node: Node, graph: Graph, known: ForwardInference): number {
  if (!hasSubgraph(node) || !isStandard(node)) return 1;
  const bodies = [...node.attributes.values()].flatMap((attribute) => bodyOf(attribute) ?? []);
  switch (node.op) {
    // Either branch may be taken.
    case "If":
      return Math.max(1, ...bodies.map((body) => turnsInside(body, graph, branchScope(body, graph, known))));
    case "Loop":
      return Math.max(1, ...bodies.map((body) => turnsOfLoop(node, body, graph, known)));
    case "Scan":
      return Math.max(
        1,
        ...bodies.map(
          (body) => slicesOf(node, known) * turnsInside(body, graph, branchScope(body, graph, known)),
        ),
      );
    default:
      return 1;
  }
}

function turnsInside({ nodes }: Body, graph: Graph, scope: ForwardInference): number {
  return Math.max(1, ...nodes.map((node) => turnsOf(node, graph, scope)));
}

function turnsOfLoop(node: Node, body: Body, graph: Graph, known: ForwardInference): number {
  const numberOf = (name = ""): number | undefined => knownNumbers(known.values.get(name))?.[0];
  const [turns = "", start = ""] = node.inputs;
  const [, condition = ""] = body.inputs;
  const scope = branchScope(body, graph, known, new Map([[condition, TRUE]]));
  // If it stays true whenever it is true, it is true for ever.
  const [next] = knownNumbers(scope.values.get(body.outputs[0] ?? "")) ?? [];
  const isStarted = start === "" || numberOf(start) === 1;
  const own = turns === "" ? Number.POSITIVE_INFINITY : (numberOf(turns) ?? 1);
  const isUnconditional = isStarted && (next === 1 || body.outputs[0] === condition);
  return (isUnconditional ? Math.max(own, 0) : 1) * turnsInside(body, graph, scope);
}

/** The slices that Scan goes over, where that is known. */
function slicesOf(node: Node, { types }: ForwardInference): number {
  const count = intAttribute(node, "num_scan_inputs") ?? 0;
  const axes = intsAttribute(node, "scan_input_axes") ?? [];
  const scanned = count > 0 ? node.inputs.slice(-count) : [];
  const sizes = scanned.map((name, index) => types.get(name)?.shape?.at(axes[index] ?? 0));
  return Math.max(1, ...sizes.filter((size) => typeof size === "number"));
}
