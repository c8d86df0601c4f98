import { fixOpenBatch } from "../graph/passes/fix_input_shape.js";
import { type Pass, runPasses } from "../graph/passes/pass.js";
import type { Graph, Node } from "../graph/types.js";
import type { WeightsType } from "../graph/weights_type.js";
import { expandOperators } from "../ops/passes/expand_operators.js";
import { foldNormalization } from "../ops/passes/fold_normalization.js";
import { importModel } from "../ops/passes/import_model.js";
import { storeWeights, weightsTypeOf } from "../ops/passes/store_weights.js";
import { widenSmallIntegers } from "../ops/passes/widen_small_integers.js";
import { type ConstantLimits, evaluateConstants } from "./evaluate_constants.js";
import { findLowering } from "./lower/registry.js";
import { operatorsError } from "./operators_error.js";
import type { Program } from "./program.js";
import { factorMakers, ProgramCompiler } from "./program_compiler.js";
import { preparesWeights, type Target } from "./target.js";

/**
 * The calls of kernels that compute a network for one image (or for the batch that the model fixes).
 * @throws PenniError "unsupported" naming the first node that cannot be compiled; "shape" if a dimension other than
 *   the batch is open
 * @param weightsType what weights are rounded to; default: they stay as they are
 */
export function compileProgram(model: Graph, target: Target, weightsType?: WeightsType): Program {
  const prepared = prepareGraph(model);
  checkOperators(prepared, model);
  const graph = weightsType === undefined ? prepared : withRoundedWeights(prepared, weightsType);
  const type = weightsType ?? weightsTypeOf(model);
  const program = new ProgramCompiler(graph, target, preparesWeights(target, type)).compile();
  return { ...program, weightsType: type };
}

/** A graph with the weights that are left of its own when they are stored in a type. */
function withRoundedWeights(graph: Graph, type: WeightsType): Graph {
  return type === "float32" ? graph : importModel(storeWeights(graph, type).graph);
}

/** A batch of one where it is open, no BatchNormalization where it can be folded, nothing that is known beforehand. */
export function prepareGraph(model: Graph): Graph {
  return runPasses(model, preparation);
}

/** A compiled model may hold 16 MiB that its program would have made of little. */
const COMPILED_LIMITS: ConstantLimits = { growth: 2 ** 22, totalGrowth: 2 ** 22 };

const imported: Pass = { name: "importModel", apply: (graph) => importModel(graph) };

/** What is done to a model before it is lowered, in order. */
const preparation: readonly Pass[] = [
  { name: "fixOpenBatch", apply: (graph) => fixOpenBatch(graph, 1) },
  imported,
  { name: "widenSmallIntegers", apply: widenSmallIntegers },
  { name: "expandOperators", apply: expandOperators },
  imported,
  { name: "evaluateArithmetic", apply: (graph) => evaluateArithmetic(graph, COMPILED_LIMITS) },
  { name: "foldNormalization", apply: foldNormalization },
  imported,
];

/**
 * The graph without arithmetic on constants (`evaluateConstants`), except the products of coefficients and bases.
 * @param kept further nodes that stay
 */
export function evaluateArithmetic(graph: Graph, limits: ConstantLimits, kept: Iterable<Node> = []): Graph {
  const stays = new Set([...factorMakers(graph), ...kept]);
  return evaluateConstants(graph, compileConstants, stays, limits);
}

function compileConstants(given: Graph, width: number): Program {
  const graph = expandOperators(given);
  checkOperators(graph);
  const rates = { dense: 1, sparse: 1, basis: 1 };
  return new ProgramCompiler(graph, { width, rates }, false).compile();
}

/** @param model the graph as it was given, whose names are known to whoever reads an error */
function checkOperators(graph: Graph, model = graph): void {
  const makers = factorMakers(graph);
  const unknown = graph.nodes.filter((node) => !makers.has(node) && findLowering(node) === undefined);
  if (unknown.length > 0) throw operatorsError(graph, unknown, model);
}
