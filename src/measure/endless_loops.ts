import { hasInput, hasOutput, orDefault } from "../graph/at.js";
import { intsAttributeOr } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { inputOrOmitted, outputOrOmitted } from "../graph/operands.js";
import { fixOpenBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph, Node } from "../graph/types.js";
import type { Body } from "../onnx/read.js";
import type { ForwardInference } from "../ops/inference/infer.js";
import {
  bodyOf,
  branchScope,
  hasSubgraph,
  inferredAnyhow,
  isStandard,
  knownNumber,
  scannedInputs,
  TRUE,
} from "./long_loops.js";

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
  const bodies = [...node.attributes.values()].map(bodyOf).filter((body) => body !== undefined);
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
  const condition = inputOrOmitted(body, 1);
  const scope = branchScope(body, graph, known, new Map([[condition, TRUE]]));
  // If it stays true whenever it is true, it is true for ever.
  const goesOn = outputOrOmitted(body, 0);
  const isStarted = !hasInput(node, 1) || knownNumber(known, inputOrOmitted(node, 1)) === 1;
  // Of a number that is computed while the model runs nothing is known.
  const turns = orDefault(knownNumber(known, inputOrOmitted(node, 0)), 1);
  const own = hasInput(node, 0) ? turns : Number.POSITIVE_INFINITY;
  const isUnconditional =
    isStarted && (knownNumber(scope, goesOn) === 1 || (hasOutput(body, 0) && goesOn === condition));
  return (isUnconditional ? Math.max(own, 0) : 1) * turnsInside(body, graph, scope);
}

/** The slices that Scan goes over, where that is known. */
function slicesOf(node: Node, { types }: ForwardInference): number {
  const scanned = scannedInputs(node);
  const axes = intsAttributeOr(node, "scan_input_axes", []);
  const sizes = scanned.map((name, index) => types.get(name)?.shape?.at(orDefault(axes[index], 0)));
  return Math.max(1, ...sizes.filter((size) => typeof size === "number"));
}
