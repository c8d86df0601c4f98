import { blockSize } from "../execute/block_size.js";
import type { Provider } from "../execute/device.js";
import type { Session } from "../execute/engine.js";
import { nodeEngine, openSession } from "../execute/node.js";
import { type ResidentValues, residentValues } from "../execute/resident.js";
import { readModel } from "../files/model_files.js";
import { withOwnMemory } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { runningStatisticsOf } from "../ops/operators/batch_normalization.js";
import { attentionOf, sharedSizes, withAttention } from "./attention.js";
import { buildEvaluation, buildOutputs } from "./evaluation.js";
import { imageInput } from "./forward.js";
import { writeInPlace } from "./in_place.js";
import { matchedOutputs } from "./losses.js";
import { comparedValue, type OutputLoss } from "./outputs.js";
import type { TrainingPlan } from "./plan.js";
import { nonZeroMask, type TrainingState } from "./state.js";
import type { StateSlot } from "./state_slot.js";
import { buildTrainingStep, type TrainingStep } from "./step.js";

/** The training step of one phase. */
export interface PhaseStep {
  readonly name: string;
  readonly step: TrainingStep;
  /** Loads the step into the runtime. */
  open(): Promise<Session>;
  /** By input name of the step. */
  readonly masks: ResidentValues;
  /** Everything the step takes in and gives back. */
  readonly slots: readonly StateSlot[];
}

/** The network whose outputs are to be matched. */
export interface Teacher {
  readonly session: Session;
  readonly input: string;
  readonly losses: readonly OutputLoss[];
  /** The value that the loss compares, by the name of the output that is matched; maps of attention by their own. */
  readonly values: ReadonlyMap<string, string>;
}

/** A session that predicts with the present parameters: the image input first, then the state. */
export interface Evaluation {
  readonly session: Session;
  readonly inputs: readonly string[];
}

/** Builds the steps of all phases over one state, which starts from the network's values. */
export async function buildPhases(
  network: Graph,
  plan: TrainingPlan,
  state: TrainingState,
  provider: Provider,
): Promise<PhaseStep[]> {
  const names = stateNames(network, plan);
  for (const name of names) {
    const tensor = initializer(network, name);
    state.declare(name, tensor.dims, float32Data(tensor));
  }
  const block = provider === "cpu" ? await blockSize() : undefined;
  const attention = await matchedSizes(network, plan);
  const built: PhaseStep[] = [];
  for (const phase of plan.phases) {
    const plain = buildTrainingStep(network, names, {
      trained: new Map(Object.entries(phase.trained)),
      batchNormalization: plan.batchNormalization,
      loss: plan.loss,
      ...(plan.reference === undefined ? {} : { reference: plan.reference }),
      ...(attention.length === 0 ? {} : { attention }),
      optimizer: plan.optimizer,
      ...(block === undefined ? {} : { block }),
    });
    const ordered = provider === "cpu" ? writeInPlace(plain) : plain;
    // It is held as long as it trains, and little of the network is left in it.
    const step = { ...ordered, graph: withOwnMemory(ordered.graph) };
    const slots = [...step.parameters.values(), ...step.velocities.values(), ...step.statistics.values()];
    for (const { input, dims } of slots) state.declare(input, dims);
    const masks = residentValues(nodeEngine, provider);
    for (const [name, input] of step.masks) {
      const mask = nonZeroMask(initializer(network, name));
      masks.declare(input, mask.dims, mask.data as Float32Array);
    }
    const residentOutputs = slots.map(({ output }) => output);
    const open = (): Promise<Session> =>
      openSession(step.graph, {
        threads: plan.threads,
        provider,
        memoryPattern: false,
        residentOutputs,
        returnsTargets: provider === "cpu",
      });
    built.push({ name: phase.name, step, open, masks, slots });
  }
  return built;
}

/** Sizes of the maps that are compared with the teacher's; none where the loss does not ask. */
async function matchedSizes(network: Graph, plan: TrainingPlan): Promise<readonly string[]> {
  return plan.loss.features === undefined ? [] : sharedSizes(network, await teacherOf(plan));
}

/** With the batch of the plan. @throws PenniError "bad-option" if the plan has none */
async function teacherOf({ teacher, batch }: TrainingPlan): Promise<Graph> {
  if (teacher === undefined)
    throw new PenniError("bad-option", "the loss matches outputs of an original that is not given");
  return fixBatch(await readModel(teacher), batch);
}

/** What any phase trains, and the running statistics. */
function stateNames(network: Graph, plan: TrainingPlan): ReadonlySet<string> {
  const trained = plan.phases.flatMap((phase) => Object.keys(phase.trained));
  const statistics = runningStatisticsOf(network);
  return new Set([...trained, ...statistics]);
}

function initializer(network: Graph, name: string): Tensor {
  const tensor = network.initializers.get(name);
  if (tensor !== undefined) return tensor;
  throw new PenniError("internal", `the network has no parameter "${name}"`);
}

/**
 * The session of a network's teacher; undefined if the loss does not ask for one. Its outputs are the values to match and
 * the outputs themselves.
 * @throws PenniError "bad-option" if the loss asks for a teacher that the plan does not have
 */
export async function loadTeacher(
  network: Graph,
  plan: TrainingPlan,
  provider: Provider,
): Promise<Teacher | undefined> {
  if (plan.loss.distillation === 0 && plan.loss.features === undefined) return undefined;
  const teacher = await teacherOf(plan);
  const losses = matchedOutputs(teacher, plan.loss);
  const compared = losses.map((loss) => [loss.output, comparedValue(teacher, loss)] as const);
  const sizes = await matchedSizes(network, plan);
  const matched = withAttention(teacher, sizes, [...new Set(compared.flat())]);
  const values = new Map([
    ...compared,
    ...sizes.map((size) => [attentionOf(size), attentionOf(size)] as const),
  ]);
  const session = await openSession(matched, { threads: plan.threads, provider, spinning: false });
  return { session, input: imageInput(teacher).name, losses, values };
}

/** What is evaluated on the validation images: a classifier's predictions, or the outputs that are matched. */
export async function loadEvaluation(
  network: Graph,
  plan: TrainingPlan,
  state: TrainingState,
  provider: Provider,
): Promise<Evaluation> {
  const names = new Set(state.snapshot().keys());
  const outputs = matchedOutputs(network, plan.loss).map(({ output }) => output);
  const graph =
    plan.reference === "original" ? buildOutputs(network, names, outputs) : buildEvaluation(network, names);
  const session = await openSession(graph, { threads: plan.threads, provider, spinning: false });
  return { session, inputs: graph.inputs.map((input) => input.name) };
}
