import { int } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import type { Graph, Node, ValueInfo, ValueType } from "../graph/types.js";
import { batchNormalizationTraining } from "../ops/batch_normalization_training.js";
import { TypedBuilder } from "../ops/builder.js";
import { standardOpset } from "../ops/definition.js";
import { reduceSum } from "../ops/emit.js";
import { expandComposites, namesOf } from "../ops/passes/expand_composites.js";
import { TARGET_OPSET } from "../ops/passes/upgrade_opset.js";
import { blockLayout } from "./blocked/pass.js";
import { buildGradients } from "./gradients.js";
import { emitLoss, type LossOptions } from "./losses.js";
import { emitUpdate, type SgdOptions, type UpdateRule } from "./optimizer.js";

/** What a training step does besides the network itself. */
export interface StepOptions {
  /** The parameters to update, by initializer name. Everything else stays as it is. */
  readonly trained: ReadonlyMap<string, UpdateRule>;
  /** "batch": batch statistics, running ones updated; "frozen": running statistics as constants. */
  readonly batchNormalization: "batch" | "frozen";
  readonly loss: LossOptions;
  readonly optimizer: SgdOptions;
  /**
   * Channels of a block, to run on ONNX Runtime's blocked layout (CPU provider only: see `blocked/pass.ts`);
   * standard operators where it is absent.
   */
  readonly block?: number;
}

/** A value that a step takes in and gives back updated. */
export interface StateSlot {
  readonly input: string;
  readonly output: string;
  readonly dims: readonly number[];
}

/** One training step as a graph: state and batch in, updated state, loss and hits out. */
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
  /** Whether the step takes the original network's logits as input `stepNames.teacher`. */
  readonly needsTeacher: boolean;
}

/** Names of a step's own inputs and outputs; the network's values never start with "penni/". */
export const stepNames = {
  labels: "penni/labels",
  teacher: "penni/teacher_logits",
  learningRate: "penni/learning_rate",
  l1Strength: "penni/l1_strength",
  loss: "penni/loss",
  hits: "penni/hits",
} as const;

/**
 * Builds the training step of a classifier: forward, loss, backward, update.
 *
 * @param network static shapes, one image input [N, C, H, W], first output logits (or a softmax of them) [N, K]
 * @param state names of all initializers that are state (any phase trains them): they become inputs, so that
 *   the steps of several phases share one set of parameters
 * @throws PenniError "unsupported" if an operator on a gradient's path has no gradient, or the network's operator
 *   set is older than version 13
 */
export function buildTrainingStep(
  network: Graph,
  state: ReadonlySet<string>,
  options: StepOptions,
): TrainingStep {
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
  const statistics = emitForward(b, network, options.batchNormalization);

  const logits = logitsOf(network);
  const [batch, classes] = logitDims(b, logits);
  const labels = declareInput(stepNames.labels, { elementType: "int64", shape: [batch] });
  const needsTeacher = options.loss.distillation > 0;
  const teacher = needsTeacher ? floatInput(stepNames.teacher, [batch, classes]) : undefined;
  const learningRate = floatInput(stepNames.learningRate, []);
  const l1Strength = floatInput(stepNames.l1Strength, []);

  const loss = emitLoss(b, logits, labels, teacher, options.loss);
  const gradients = buildGradients(b, [...b.nodes], loss, [...options.trained.keys()]);

  const parameters = new Map<string, StateSlot>();
  const velocities = new Map<string, StateSlot>();
  const masks = new Map<string, string>();
  for (const [name, rule] of options.trained) {
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
      { learningRate, l1Strength },
      options.optimizer,
    );
    parameters.set(name, { input: name, output: update.parameter, dims });
    velocities.set(name, { input: velocity, output: update.velocity, dims });
  }
  const hits = emitHits(b, logits, labels);
  b.emit("Identity", [loss], { outputs: [stepNames.loss] });
  b.emit("Identity", [hits], { outputs: [stepNames.hits] });

  const slots = [...parameters.values(), ...velocities.values(), ...statistics.values()];
  const outputs = [stepNames.loss, stepNames.hits, ...slots.map((slot) => slot.output)];
  const updated = new Set([...parameters.keys(), ...statistics.keys()]);
  const constants = new Map(initializers.filter((name) => !updated.has(name)).map((name) => [name, name]));
  const graph: Graph = {
    ...network,
    name: "training_step",
    inputs,
    outputs: outputs.map((name) => ({ name, type: b.types.get(name) })),
    nodes: b.nodes,
    initializers: b.initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  };
  const lowered = options.block === undefined ? expandComposites(graph) : blockLayout(graph, options.block);
  return {
    graph: lowered,
    parameters,
    velocities,
    statistics,
    masks,
    constants,
    needsTeacher,
  };
}

/** Gradients are written in the forms of operator set 13. */
function expectOpset(network: Graph): void {
  const opset = standardOpset(network);
  if (opset >= TARGET_OPSET) return;
  throw new PenniError("unsupported", "the network's operator set is too old to train", {
    expected: `opset ${TARGET_OPSET} or later`,
    found: `opset ${opset}`,
    advice: "Run upgradeOpset on the model first",
  });
}

/** The only image input of a network. */
export function imageInput(network: Graph): { name: string; type: ValueType } {
  const [input, ...others] = network.inputs;
  if (input?.type === undefined || others.length > 0) {
    throw new PenniError("unsupported", "training needs a network with exactly one input", {
      expected: "one image input [N, C, H, W]",
      found: `${network.inputs.length} inputs: ${network.inputs.map(({ name }) => name).join(", ")}`,
    });
  }
  return { name: input.name, type: input.type };
}

/** Declares state as inputs and the rest as constants; returns the names of the state. */
function declareInitializers(
  b: TypedBuilder,
  network: Graph,
  state: ReadonlySet<string>,
  floatInput: (name: string, dims: readonly number[]) => string,
): string[] {
  const declared: string[] = [];
  for (const [name, tensor] of network.initializers) {
    if (state.has(name)) declared.push(floatInput(name, tensor.dims));
    else b.setInitializer(name, tensor);
  }
  return declared;
}

/** Appends the network; in mode "batch" its batch normalizations on batch statistics. Returns the running ones. */
function emitForward(
  b: TypedBuilder,
  network: Graph,
  mode: StepOptions["batchNormalization"],
): ReadonlyMap<string, StateSlot> {
  const statistics = new Map<string, StateSlot>();
  for (const node of network.nodes) {
    if (mode === "frozen" || node.op !== "BatchNormalization") {
      b.append(node);
      continue;
    }
    const training = batchNormalizationTraining(b, node);
    b.append(training);
    const [, , , mean = "", variance = ""] = node.inputs;
    const [, , , newMean = "", newVariance = ""] = training.outputs;
    statistics.set(mean, { input: mean, output: newMean, dims: b.dims(mean) });
    statistics.set(variance, { input: variance, output: newVariance, dims: b.dims(variance) });
  }
  return statistics;
}

/** The logits: the network's first output, or the input of the softmax that produces it. */
export function logitsOf(network: Graph, nodes: readonly Node[] = network.nodes): string {
  const [output] = network.outputs;
  if (output === undefined) throw new PenniError("bad-model", "the network has no output");
  const producer = nodes.find((node) => node.outputs.includes(output.name));
  const isSoftmax = producer?.op === "Softmax" || producer?.op === "LogSoftmax";
  return (isSoftmax ? producer.inputs[0] : undefined) ?? output.name;
}

function logitDims(b: TypedBuilder, logits: string): readonly [number, number] {
  const dims = b.dims(logits);
  const [batch, classes] = dims;
  if (dims.length === 2 && batch !== undefined && classes !== undefined) return [batch, classes];
  throw new PenniError("unsupported", `output "${logits}" is not a classifier's`, {
    expected: "logits of shape [batch, classes]",
    found: `[${dims.join(", ")}]`,
  });
}

/** Number of images of the batch whose largest logit is the label's. */
function emitHits(b: TypedBuilder, logits: string, labels: string): string {
  const predicted = b.emit("ArgMax", [logits], { attributes: { axis: int(1), keepdims: int(0) } });
  const matches = b.emit("Cast", [b.emit("Equal", [predicted, labels])], { attributes: { to: int(1) } });
  return reduceSum(b, matches, [0], false);
}
