import { blockSize } from "../execute/block_size.js";
import type { Provider } from "../execute/device.js";
import type { Session } from "../execute/engine.js";
import { nodeEngine, openSession } from "../execute/node.js";
import { type ResidentValues, residentValues } from "../execute/resident.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import { readModel } from "../onnx/files.js";
import { runningStatisticsOf } from "../ops/batch_normalization.js";
import { buildEvaluation } from "./evaluation.js";
import type { TrainingPlan } from "./plan.js";
import { nonZeroMask, type TrainingState } from "./state.js";
import { buildTrainingStep, imageInput, logitsOf, type StateSlot, type TrainingStep } from "./step.js";

/** The training step of one phase, ready to run. */
export interface LoadedPhase {
  readonly name: string;
  readonly step: TrainingStep;
  readonly session: Session;
  /** By input name of the step. */
  readonly masks: ResidentValues;
  /** Everything the step takes in and gives back. */
  readonly slots: readonly StateSlot[];
}

/** The network whose logits are to be matched. */
export interface Teacher {
  readonly session: Session;
  readonly input: string;
  readonly output: string;
}

/** A session that predicts with the present parameters: the image input first, then the state. */
export interface Evaluation {
  readonly session: Session;
  readonly inputs: readonly string[];
}

/** Builds and loads the steps of all phases over one state, which starts from the network's values. */
export async function loadPhases(
  network: Graph,
  plan: TrainingPlan,
  state: TrainingState,
  provider: Provider,
): Promise<LoadedPhase[]> {
  const names = stateNames(network, plan);
  for (const name of names) {
    const tensor = initializer(network, name);
    state.declare(name, tensor.dims, float32Data(tensor));
  }
  const block = provider === "cpu" ? await blockSize() : undefined;
  const loaded: LoadedPhase[] = [];
  for (const phase of plan.phases) {
    const step = buildTrainingStep(network, names, {
      trained: new Map(Object.entries(phase.trained)),
      batchNormalization: plan.batchNormalization,
      loss: plan.loss,
      optimizer: plan.optimizer,
      ...(block === undefined ? {} : { block }),
    });
    const slots = [...step.parameters.values(), ...step.velocities.values(), ...step.statistics.values()];
    for (const { input, dims } of slots) state.declare(input, dims);
    const masks = residentValues(nodeEngine, provider);
    for (const [name, input] of step.masks) {
      const mask = nonZeroMask(initializer(network, name));
      masks.declare(input, mask.dims, mask.data as Float32Array);
    }
    const residentOutputs = slots.map(({ output }) => output);
    const session = await openSession(step.graph, {
      threads: plan.threads,
      provider,
      memoryPattern: false,
      residentOutputs,
    });
    loaded.push({ name: phase.name, step, session, masks, slots });
  }
  return loaded;
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

/** The teacher's session; undefined if the loss does not ask for one. */
export async function loadTeacher(plan: TrainingPlan, provider: Provider): Promise<Teacher | undefined> {
  if (plan.loss.distillation === 0 || plan.teacher === undefined) return undefined;
  const network = fixBatch(await readModel(plan.teacher), plan.batch);
  const output = logitsOf(network);
  const logitsOnly = { ...network, outputs: [{ name: output, type: undefined }] };
  const session = await openSession(logitsOnly, { threads: plan.threads, provider, spinning: false });
  return { session, input: imageInput(network).name, output };
}

export async function loadEvaluation(
  network: Graph,
  plan: TrainingPlan,
  state: TrainingState,
  provider: Provider,
): Promise<Evaluation> {
  const graph = buildEvaluation(network, new Set(state.snapshot().keys()));
  const session = await openSession(graph, { threads: plan.threads, provider, spinning: false });
  return { session, inputs: graph.inputs.map((input) => input.name) };
}
