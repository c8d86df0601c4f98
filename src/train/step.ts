import { dims4, entryOf, inputOf, orDefault } from "../graph/at.js";
import { int } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import type { Graph, ValueInfo, ValueType } from "../graph/types.js";
import type { DecomposedLayer } from "../layers/weights.js";
import { standardOpset } from "../ops/core/definition.js";
import { reduceSum } from "../ops/core/emit.js";
import { convGeometry } from "../ops/families/conv_geometry.js";
import { TypedBuilder } from "../ops/inference/builder.js";
import { inferGraph, staticDims } from "../ops/inference/infer.js";
import { declareTypes, expandComposites, namesOf } from "../ops/passes/expand_composites.js";
import { factorConvolutions } from "../ops/passes/factor_convolutions.js";
import { fuseSilu } from "../ops/passes/fuse_silu.js";
import { type Attended, attentionOf, lastMaps } from "./attention.js";
import { blockLayout } from "./blocked/pass.js";
import { productsPerPosition } from "./blocked/winograd.js";
import type { DroppedValue } from "./dropout.js";
import { declareInitializers, emitForward, expectOpset, imageInput } from "./forward.js";
import { buildGradients } from "./gradients.js";
import { emitLoss, type LossOptions, type LossValues, type MatchedValue, matchedOutputs } from "./losses.js";
import { emitUpdate, type SgdOptions, type UpdateRule } from "./optimizer.js";
import { comparedValue, scoredValue, scoreRow } from "./outputs.js";
import type { StateSlot } from "./state_slot.js";

/**
 * What a network is judged by: the labels of the images, of which a step counts those it gets right, or the original
 * network's outputs alone, which takes no labels.
 */
export const references = ["labels", "original"] as const;

export type Reference = (typeof references)[number];

/** What a training step does besides the network itself. */
export interface StepOptions {
  /** The parameters to update, by initializer name. Everything else stays as it is. */
  readonly trained: ReadonlyMap<string, UpdateRule>;
  /** "batch": batch statistics, running ones updated; "frozen": running statistics as constants. */
  readonly batchNormalization: "batch" | "frozen";
  readonly loss: LossOptions;
  /** Default: "labels". */
  readonly reference?: Reference;
  /** Sizes of the maps whose attention is compared, where the loss has features: those of `sharedSizes`. */
  readonly attention?: readonly string[];
  readonly optimizer: SgdOptions;
  /**
   * Channels of a block, to run on ONNX Runtime's blocked layout (CPU provider only: see `blocked/pass.ts`);
   * standard operators where it is absent.
   */
  readonly block?: number;
}

/** One training step as a graph: state and batch in, updated state, loss and (with labels) hits out. */
export interface TrainingStep {
  readonly graph: Graph;
  /** Parameters, by initializer name of the network. */
  readonly parameters: ReadonlyMap<string, StateSlot>;
  /** Momentum, by the name of its parameter. */
  readonly velocities: ReadonlyMap<string, StateSlot>;
  /** Running means and variances, by initializer name. */
  readonly statistics: ReadonlyMap<string, StateSlot>;
  /** Input that takes the 0/1 mask of a parameter, by the parameter's name. */
  readonly masks: ReadonlyMap<string, string>;
  /** Parameters that are inputs but not updated by this step. */
  readonly constants: ReadonlyMap<string, string>;
  /** Inputs that take the teacher's values, by the name of the output that is matched, or of a map of attention. */
  readonly teachers: ReadonlyMap<string, string>;
  /** What Dropout leaves out at random, by inputs. */
  readonly dropped: readonly DroppedValue[];
}

/** Names of a step's own inputs and outputs; the network's values never start with "penni/". */
export const stepNames = {
  labels: "penni/labels",
  learningRate: "penni/learning_rate",
  l1Strength: "penni/l1_strength",
  loss: "penni/loss",
  hits: "penni/hits",
} as const;

/** The value in a step that multiplies the update of this parameter. */
export const rateOf = (parameter: string): string => `penni/rate/${parameter}`;

/**
 * Builds a training step: forward, loss, backward, update.
 *
 * @param network static shapes, one image input [N, C, H, W]; with labels the first output has logits (or a softmax
 *   of them) [N, K]
 * @param state names of all initializers that are state (any phase trains them): they become inputs, so that
 *   the steps of several phases share one set of parameters
 * @throws PenniError "unsupported" if an operator on a gradient's path has no gradient, or the network's operator
 *   set is older than version 13
 */
export function buildTrainingStep(
  whole: Graph,
  state: ReadonlySet<string>,
  options: StepOptions,
): TrainingStep {
  const read = options.reference === "original" ? matchedPart(whole, options.loss) : whole;
  const network =
    options.block === undefined ? read : fuseSilu(factored(read, options.trained, options.block));
  expectOpset(network);
  const b = new TypedBuilder(standardOpset(network), namesOf(network));
  const inputs: ValueInfo[] = [];
  const declareInput = (name: string, type: ValueType): string => {
    inputs.push({ name, type });
    return b.declare(name, type);
  };
  const floatInput = (name: string, dims: readonly number[]): string =>
    declareInput(name, { elementType: "float32", shape: dims });

  const image = imageInput(network);
  declareInput(image.name, image.type);
  const initializers = declareInitializers(b, network, state, floatInput);
  declareTypes(b, network);
  const { statistics, dropped } = emitForward(b, network, options.batchNormalization, floatInput);

  const classified =
    options.reference === "original" ? undefined : classifierValues(b, network, declareInput);
  const matched = matchedOutputs(network, options.loss).map((loss): MatchedValue => {
    const value = comparedValue(network, loss);
    return { loss, value, teacher: floatInput(`penni/teacher/${loss.output}`, b.dims(value)) };
  });
  const maps = lastMaps(network.nodes, b.types);
  // What only left-out outputs need is not there.
  const sizes = orDefault(options.attention, []).filter((size) => maps.has(size));
  const attended = sizes.map((size): Attended & { readonly size: string } => {
    const value = entryOf(maps, size);
    const [images, , height, width] = dims4(b.dims(value));
    return { size, value, teacher: floatInput(attentionOf(size), [images, height * width]) };
  });
  const learningRate = floatInput(stepNames.learningRate, []);
  const l1Strength = floatInput(stepNames.l1Strength, []);

  const loss = emitLoss(b, { classified, matched, attended }, options.loss);
  const gradients = buildGradients(b, [...b.nodes], loss, [...options.trained.keys()]);

  const parameters = new Map<string, StateSlot>();
  const velocities = new Map<string, StateSlot>();
  const masks = new Map<string, string>();
  for (const [name, rule] of inOrderOfUse(network, options.trained)) {
    const gradient = gradients.get(name);
    if (gradient === undefined) continue;
    const dims = b.dims(name);
    const velocity = floatInput(`penni/velocity/${name}`, dims);
    const mask = rule.masked ? floatInput(`penni/mask/${name}`, dims) : undefined;
    if (mask !== undefined) masks.set(name, mask);
    const update = emitUpdate(
      b,
      { parameter: name, velocity, gradient, mask },
      rule,
      { learningRate: b.emit("Identity", [learningRate], { outputs: [rateOf(name)] }), l1Strength },
      options.optimizer,
    );
    parameters.set(name, { input: name, output: update.parameter, dims });
    velocities.set(name, { input: velocity, output: update.velocity, dims });
  }
  b.emit("Identity", [loss], { outputs: [stepNames.loss] });
  if (classified !== undefined) b.emit("Identity", [emitHits(b, classified)], { outputs: [stepNames.hits] });

  const slots = [...parameters.values(), ...velocities.values(), ...statistics.values()];
  const told = classified === undefined ? [stepNames.loss] : [stepNames.loss, stepNames.hits];
  const outputs = [...told, ...slots.map((slot) => slot.output)];
  const updated = new Set([...parameters.keys(), ...statistics.keys()]);
  const constants = new Map(initializers.filter((name) => !updated.has(name)).map((name) => [name, name]));
  const graph: Graph = {
    ...network,
    name: "training_step",
    inputs,
    outputs: outputs.map((name) => ({ name, type: b.types.get(name) })),
    nodes: b.nodes,
    initializers: b.initializers,
    metadata: new Map(),
  };
  const lowered = options.block === undefined ? expandComposites(graph) : blockLayout(graph, options.block);
  return {
    graph: { ...lowered, valueInfo: new Map() },
    parameters,
    velocities,
    statistics,
    masks,
    constants,
    dropped,
    teachers: new Map([
      ...matched.map(({ loss: { output }, teacher }) => [output, teacher] as const),
      ...attended.map(({ size, teacher }) => [attentionOf(size), teacher] as const),
    ]),
  };
}

/** Decomposed layers in two stages where that is cheaper than what the blocked layout makes of merged kernels. */
function factored(network: Graph, trained: ReadonlyMap<string, unknown>, block: number): Graph {
  const { types } = inferGraph(network);
  const mergedCost = ({ conv, K, C, R, S }: DecomposedLayer): number =>
    productsPerPosition(block, convGeometry(conv, staticDims(types, inputOf(conv, 0)), [K, C, R, S]));
  return factorConvolutions(network, (name) => trained.has(name), mergedCost);
}

/**
 * The trained parameters in the order in which the network reads them. The runtime computes what the last node of a graph
 * needs first; so the gradients of the last layers come first, and what only they need is given back before the
 * gradients of the layers before them are computed.
 */
function inOrderOfUse<Rule>(network: Graph, trained: ReadonlyMap<string, Rule>): ReadonlyMap<string, Rule> {
  const read = network.nodes.flatMap((node) => node.inputs);
  return new Map(
    read.flatMap((name) => {
      const rule = trained.get(name);
      return rule === undefined ? [] : [[name, rule] as const];
    }),
  );
}

/** What the matched outputs are computed from: a network may have outputs besides that cannot be trained. */
function matchedPart(network: Graph, loss: LossOptions): Graph {
  const matched = new Set(matchedOutputs(network, loss).map(({ output }) => output));
  return removeDeadNodes({ ...network, outputs: network.outputs.filter(({ name }) => matched.has(name)) });
}

type ClassifierValues = NonNullable<LossValues["classified"]>;

/** The logits of a classifier, and a new input for the labels. */
function classifierValues(
  b: TypedBuilder,
  network: Graph,
  declareInput: (name: string, type: ValueType) => string,
): ClassifierValues {
  const { value, isEach } = scoredValue(network, b.types);
  const dims = b.dims(value);
  const [batch] = dims;
  if (scoreRow(dims) !== undefined && batch !== undefined) {
    const labels = declareInput(stepNames.labels, { elementType: "int64", shape: [batch] });
    const logits = dims.length === 2 ? value : b.emit("Flatten", [value], { attributes: { axis: int(1) } });
    return { logits, labels, isEach };
  }
  throw new PenniError("unsupported", `output "${value}" is not a classifier's`, {
    expected: "one score for each class, as in [batch, classes]",
    found: `[${dims.join(", ")}]`,
    advice: "penni compress --loss distill trains any network from the original's outputs, without labels",
  });
}

/** Number of images of the batch whose largest logit is the label's. */
function emitHits(b: TypedBuilder, { logits, labels }: ClassifierValues): string {
  const predicted = b.emit("ArgMax", [logits], { attributes: { axis: int(1), keepdims: int(0) } });
  const matches = b.emit("Cast", [b.emit("Equal", [predicted, labels])], { attributes: { to: int(1) } });
  return reduceSum(b, matches, [0], false);
}
