import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Batch } from "../data/batches.js";
import { nodeEngine } from "../execute/node.js";
import { residentValues } from "../execute/resident.js";
import { type ResolvedDevice, resolveDevice } from "../execute/resolve.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { inferGraph } from "../ops/infer.js";
import type { CheckpointTensor } from "./checkpoint.js";
import { PREDICTED } from "./evaluation.js";
import type { TrainingPlan } from "./plan.js";
import {
  type Evaluation,
  type LoadedPhase,
  loadEvaluation,
  loadPhases,
  loadTeacher,
  type Teacher,
} from "./sessions.js";
import { TrainingState } from "./state.js";
import { imageInput, logitsOf, stepNames } from "./step.js";

/** What a step tells about its batch, seen with the parameters before the step's update. */
export interface StepOutcome {
  /** Mean over the batch. */
  readonly loss: number;
  /** Images of the batch whose largest logit is the label's. */
  readonly hits: number;
}

/** Channels, height and width of an image. */
export type ImageDims = readonly [number, number, number];

/**
 * Everything that is loaded to train one network: the steps of its phases, the teacher, the evaluation, and
 * the state (parameters, velocities, running statistics) that they share. To go on with another network,
 * release this one and open that one with the state it shall start from.
 */
export class Workbench {
  private isReleased = false;

  private constructor(
    private readonly plan: TrainingPlan,
    private readonly imageDims: ImageDims,
    readonly device: ResolvedDevice,
    /** Classes that the network has scores for. */
    readonly classes: number,
    private readonly image: string,
    private readonly state: TrainingState,
    private readonly phases: readonly LoadedPhase[],
    private readonly teacher: Teacher | undefined,
    private readonly evaluation: Evaluation | undefined,
  ) {}

  /**
   * Loads a network; the state starts from its initializers, velocities from zero.
   * @param network with the batch of the plan
   * @throws PenniError what building the steps or loading the sessions throws; "unsupported" if the plan's
   *   device is not usable here
   */
  static async open(network: Graph, plan: TrainingPlan, imageDims: ImageDims): Promise<Workbench> {
    const device = await resolveDevice(plan.device ?? "cpu");
    const { provider } = device;
    const state = new TrainingState(residentValues(nodeEngine, provider));
    const phases = await loadPhases(network, plan, state, provider);
    const teacher = await loadTeacher(plan, provider);
    const evaluation =
      plan.data.validation > 0 ? await loadEvaluation(network, plan, state, provider) : undefined;
    const image = imageInput(network).name;
    const classes = classCount(network);
    return new Workbench(plan, imageDims, device, classes, image, state, phases, teacher, evaluation);
  }

  phaseName(phase: number): string {
    return this.phaseAt(phase).name;
  }

  /**
   * Runs one step of a phase on a batch. The state stays as it is until `commit`, so the loss can be judged
   * first: it is the loss of the state before the step.
   * @param rate learning rate
   */
  async runStep(phase: number, batch: Batch, rate: number): Promise<StepOutcome> {
    const { step, session, masks, slots } = this.phaseAt(phase);
    const images = this.imageTensor(batch.images);
    const feeds: Record<string, OrtTensor> = {
      [this.image]: images,
      [stepNames.labels]: new OrtTensor("int64", batch.labels, [this.plan.batch]),
      [stepNames.learningRate]: scalar(rate),
      [stepNames.l1Strength]: scalar(this.plan.l1Strength),
      ...(await this.taught(images)),
      ...(await masks.feeds([...masks.names])),
      ...(await this.state.feeds([...slots.map(({ input }) => input), ...step.constants.keys()])),
    };
    const results = await session.run(feeds, {
      ...this.state.fetches(slots),
      [stepNames.loss]: null,
      [stepNames.hits]: null,
    });
    this.state.receive(slots, results);
    return {
      loss: Number(results[stepNames.loss]?.data[0]),
      hits: Number(results[stepNames.hits]?.data[0]),
    };
  }

  /** Makes what the last step of this phase computed the present state. */
  commit(phase: number): void {
    this.state.advance(this.phaseAt(phase).slots);
  }

  /** Number of images whose class is predicted right with the present parameters. */
  async validate(batches: AsyncIterable<Batch>): Promise<number> {
    const { evaluation } = this;
    if (evaluation === undefined)
      throw new PenniError("internal", "the plan holds out no images for validation");
    const [image = "", ...stateInputs] = evaluation.inputs;
    let hits = 0;
    for await (const { images, labels, count } of batches) {
      const feeds = { [image]: this.imageTensor(images), ...(await this.state.feeds(stateInputs)) };
      const results = await evaluation.session.run(feeds);
      const predicted = results[PREDICTED]?.data as BigInt64Array;
      for (let index = 0; index < count; index++) if (predicted[index] === labels[index]) hits += 1;
    }
    return hits;
  }

  /** The present state by name; shares its memory. */
  async snapshot(): Promise<Map<string, CheckpointTensor>> {
    await this.state.read();
    return this.state.snapshot();
  }

  /** The momentum by parameter; shares the state's memory. */
  async velocities(): Promise<Map<string, Float32Array>> {
    await this.state.read();
    return new Map([...this.velocityInputs()].map(([name, input]) => [name, this.state.data(input)]));
  }

  /** Replaces the momentum; of parameters that are not in `velocities` it becomes zero. */
  setVelocities(velocities: ReadonlyMap<string, Float32Array>): void {
    for (const [name, input] of this.velocityInputs()) {
      const zeros = new Float32Array(this.state.data(input).length);
      this.state.write(input, velocities.get(name) ?? zeros);
    }
  }

  restore(tensors: ReadonlyMap<string, CheckpointTensor>): void {
    this.state.restore(tensors);
  }

  /** A network with the present values as its initializers. */
  async applyTo(network: Graph): Promise<Graph> {
    await this.state.read();
    return this.state.applyTo(network);
  }

  /** Brings `nonZeros` up to date; nothing to do where the state is in the host's memory. */
  read(): Promise<void> {
    return this.state.read();
  }

  /** Number of elements of the plan's sparse parameters that are not exactly zero, as of the last read. */
  nonZeros(): number {
    return this.state.nonZeros(this.plan.sparse);
  }

  /** Frees the sessions' memory; a second time does nothing. */
  async release(): Promise<void> {
    if (this.isReleased) return;
    this.isReleased = true;
    for (const values of [this.state, ...this.phases.map(({ masks }) => masks)]) await values.release();
    for (const { session } of [...this.phases, this.teacher, this.evaluation].filter(isLoaded))
      await session.release();
    // The networks and the state are garbage now, megabytes of it that little else would make the engine collect.
    globalThis.gc?.();
  }

  /** The state's name of every parameter's momentum. */
  private velocityInputs(): Map<string, string> {
    const slots = this.phases.flatMap(({ step }) => [...step.velocities]);
    return new Map(slots.map(([name, { input }]) => [name, input]));
  }

  private phaseAt(index: number): LoadedPhase {
    const phase = this.phases[index];
    if (phase === undefined) throw new PenniError("internal", `a training stage has no phase ${index}`);
    return phase;
  }

  private imageTensor(images: Float32Array): OrtTensor {
    return new OrtTensor("float32", images, [this.plan.batch, ...this.imageDims]);
  }

  /** What the teacher makes of the images, as a feed; nothing where there is no teacher. */
  private async taught(images: OrtTensor): Promise<Record<string, OrtTensor>> {
    if (this.teacher === undefined) return {};
    const { session, input, output } = this.teacher;
    const known = await session.run({ [input]: images });
    const logits = known[output];
    return logits === undefined ? {} : { [stepNames.teacher]: logits };
  }
}

function classCount(network: Graph): number {
  const classes = inferGraph(network).types.get(logitsOf(network))?.shape?.[1];
  if (typeof classes === "number") return classes;
  throw new PenniError("internal", "the number of classes is not known");
}

function isLoaded<Part>(part: Part | undefined): part is Part {
  return part !== undefined;
}

function scalar(value: number): OrtTensor {
  return new OrtTensor("float32", Float32Array.of(value), []);
}
