import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Batch } from "../data/batches.js";
import type { Feeds } from "../execute/engine.js";
import { nodeEngine } from "../execute/node.js";
import { residentValues } from "../execute/resident.js";
import { type ResolvedDevice, resolveDevice } from "../execute/resolve.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { type OutputAgreement, OutputComparison } from "../measure/output_comparison.js";
import { type FedBatch, runEach } from "../measure/run_on_images.js";
import { inferGraph } from "../ops/inference/infer.js";
import type { CheckpointTensor } from "./checkpoint_tensor.js";
import { guessingLoss } from "./divergence.js";
import { PREDICTED } from "./evaluation.js";
import { comparedOutput, comparedValue, logitsOf } from "./outputs.js";
import { PhaseSessions } from "./phase_sessions.js";
import type { TrainingPlan } from "./plan.js";
import {
  buildPhases,
  type Evaluation,
  loadEvaluation,
  loadTeacher,
  type PhaseStep,
  type Teacher,
} from "./sessions.js";
import { TrainingState } from "./state.js";
import { imageInput, matchedOutputs, stepNames } from "./step.js";

/** What a step tells about its batch, seen with the parameters before the step's update. */
export interface StepOutcome {
  /** Mean over the batch. */
  readonly loss: number;
  /** Images of the batch whose largest logit is the label's; 0 where the labels are no reference. */
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
    /** What a network costs that has learned nothing: see `guessingLoss`. */
    readonly guessing: number,
    private readonly image: string,
    private readonly state: TrainingState,
    private readonly phases: readonly PhaseStep[],
    private readonly sessions: PhaseSessions,
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
    const phases = await buildPhases(network, plan, state, provider);
    const sessions = await PhaseSessions.open(phases.map(({ open }) => open));
    const teacher = await loadTeacher(plan, provider);
    const evaluation =
      plan.data.validation > 0 ? await loadEvaluation(network, plan, state, provider) : undefined;
    const image = imageInput(network).name;
    const guessing = guessingCost(network, plan);
    collectGarbage();
    return new Workbench(
      plan,
      imageDims,
      device,
      guessing,
      image,
      state,
      phases,
      sessions,
      teacher,
      evaluation,
    );
  }

  phaseName(phase: number): string {
    return this.phaseAt(phase).name;
  }

  /**
   * Runs one step of a phase on a batch. The loss is that of the state before the step.
   * @param rate learning rate
   * @param keep whether the state must stay as it is until `commit`; otherwise the step may write over it, which
   *   takes less memory
   */
  async runStep(phase: number, batch: Batch, rate: number, keep: boolean): Promise<StepOutcome> {
    const { step, masks, slots } = this.phaseAt(phase);
    const session = await this.sessions.forStep(phase);
    const images = this.imageTensor(batch.images);
    const feeds: Record<string, OrtTensor> = {
      [this.image]: images,
      [stepNames.learningRate]: scalar(rate),
      [stepNames.l1Strength]: scalar(this.plan.l1Strength),
      ...this.labels(batch),
      ...(await this.taught(images, step.teachers)),
      ...(await masks.feeds([...masks.names])),
      ...(await this.state.feeds([...slots.map(({ input }) => input), ...step.constants.keys()])),
    };
    const results = await session.run(feeds, {
      ...this.state.fetches(slots, keep),
      [stepNames.loss]: this.scalarTarget,
      ...(this.isLabelled ? { [stepNames.hits]: this.scalarTarget } : {}),
    });
    this.state.receive(slots, results);
    return {
      loss: Number(results[stepNames.loss]?.data[0]),
      hits: Number(results[stepNames.hits]?.data[0] ?? 0),
    };
  }

  /** Makes what the last step of this phase computed the present state. */
  commit(phase: number): void {
    this.state.advance(this.phaseAt(phase).slots);
  }

  /** Number of images whose class is predicted right with the present parameters. */
  async countHits(batches: AsyncIterable<Batch>): Promise<number> {
    let hits = 0;
    for await (const { results, labels, count } of this.evaluate(batches)) {
      const predicted = results[PREDICTED]?.data as BigInt64Array;
      for (let index = 0; index < count; index++) if (predicted[index] === labels?.[index]) hits += 1;
    }
    return hits;
  }

  /** How well the matched outputs agree with the original's, with the present parameters. */
  async compareOutputs(batches: AsyncIterable<Batch>): Promise<readonly OutputAgreement[]> {
    const { teacher } = this;
    if (teacher === undefined) throw new PenniError("internal", "the plan has no original to compare with");
    const comparison = new OutputComparison(teacher.losses.map(comparedOutput));
    const names = teacher.losses.map(({ output }) => output);
    for await (const { images, results: second, size, count } of this.evaluate(batches)) {
      const first = await teacher.session.run({ [teacher.input]: this.imageTensor(images) }, names);
      comparison.add({ first, second, size, count });
    }
    return comparison.results;
  }

  /** What the present parameters make of images. */
  private evaluate(batches: AsyncIterable<Batch>): AsyncIterable<Batch & { readonly results: Feeds }> {
    const { evaluation } = this;
    if (evaluation === undefined)
      throw new PenniError("internal", "the plan holds out no images for validation");
    return runEach(evaluation.session, this.evaluationFeeds(batches, evaluation.inputs));
  }

  private async *evaluationFeeds(
    batches: AsyncIterable<Batch>,
    [image = "", ...stateInputs]: readonly string[],
  ): AsyncGenerator<FedBatch, void, undefined> {
    for await (const batch of batches) {
      const state = await this.state.feeds(stateInputs);
      yield { ...batch, feeds: { [image]: this.imageTensor(batch.images), ...state } };
    }
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

  /** The network's own values, without momentum; shares the state's memory. */
  async values(): Promise<ReadonlyMap<string, CheckpointTensor>> {
    const velocities = new Set(this.velocityInputs().values());
    return new Map([...(await this.snapshot())].filter(([name]) => !velocities.has(name)));
  }

  /** Does work with other values in the place of the present ones, which are put back afterwards. */
  async withValues<Result>(
    values: ReadonlyMap<string, CheckpointTensor>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const before = [...(await this.values())]
      .filter(([name]) => values.has(name))
      .map(([name, { dims, data }]) => [name, { dims, data: Float32Array.from(data) }] as const);
    this.restore(values);
    try {
      return await work();
    } finally {
      this.restore(new Map(before));
    }
  }

  /** Replaces some of the present values. */
  replace(values: ReadonlyMap<string, Float32Array>): void {
    for (const [name, data] of values) this.state.write(name, data);
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
    await this.sessions.release();
    for (const { session } of [this.teacher, this.evaluation].filter(isLoaded)) await session.release();
    collectGarbage();
  }

  /** The state's name of every parameter's momentum. */
  private velocityInputs(): Map<string, string> {
    const slots = this.phases.flatMap(({ step }) => [...step.velocities]);
    return new Map(slots.map(([name, { input }]) => [name, input]));
  }

  private phaseAt(index: number): PhaseStep {
    const phase = this.phases[index];
    if (phase === undefined) throw new PenniError("internal", `a training stage has no phase ${index}`);
    return phase;
  }

  private imageTensor(images: Float32Array): OrtTensor {
    return new OrtTensor("float32", images, [this.plan.batch, ...this.imageDims]);
  }

  /** What a scalar is written into: memory of the host, or what the device's runtime allocates. */
  private get scalarTarget(): OrtTensor | null {
    return this.device.provider === "cpu" ? scalar(Number.NaN) : null;
  }

  private get isLabelled(): boolean {
    return this.plan.reference !== "original";
  }

  /** The labels as a feed; nothing where they are no reference. */
  private labels({ labels }: Batch): Feeds {
    if (!this.isLabelled) return {};
    if (labels === undefined)
      throw new PenniError("internal", "the images of a labelled step have no labels");
    return { [stepNames.labels]: new OrtTensor("int64", labels, [this.plan.batch]) };
  }

  /** What the teacher makes of the images, as feeds of a step; nothing where there is no teacher. */
  private async taught(images: OrtTensor, inputs: ReadonlyMap<string, string>): Promise<Feeds> {
    if (this.teacher === undefined) return {};
    const { session, input, values } = this.teacher;
    const known = await session.run({ [input]: images }, [...new Set(values.values())]);
    return Object.fromEntries(
      [...inputs].flatMap(([output, name]) => {
        const value = known[values.get(output) ?? ""];
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  }
}

function guessingCost(network: Graph, plan: TrainingPlan): number {
  const { types } = inferGraph(network);
  const size = (value: string, axis: number): number => {
    const dim = types.get(value)?.shape?.at(axis);
    if (typeof dim === "number") return dim;
    throw new PenniError("internal", `the number of classes of "${value}" is not known`);
  };
  const matched = matchedOutputs(network, plan.loss).map((loss) => {
    if (loss.measure !== "kl") return { loss, classes: 1 };
    return { loss, classes: loss.axis === "each" ? 2 : size(comparedValue(network, loss), loss.axis) };
  });
  const classes = plan.loss.crossEntropy > 0 ? size(logitsOf(network), 1) : 1;
  return guessingLoss(plan.loss, matched, classes);
}

/** Networks and states are megabytes of garbage once they are loaded or released, and little else asks for a collection. */
function collectGarbage(): void {
  globalThis.gc?.();
}

function isLoaded<Part>(part: Part | undefined): part is Part {
  return part !== undefined;
}

function scalar(value: number): OrtTensor {
  return new OrtTensor("float32", Float32Array.of(value), []);
}
