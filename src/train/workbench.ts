import type { Batch } from "../data/batches.js";
import type { ModelImageDims } from "../data/preprocessing.js";
import type { Feeds, Session } from "../execute/engine.js";
import { collectGarbage } from "../execute/garbage.js";
import { nodeEngine } from "../execute/node.js";
import { residentValues } from "../execute/resident.js";
import { type ResolvedDevice, resolveDevice } from "../execute/resolve.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import type { OutputAgreement } from "../measure/output_comparison.js";
import { BatchValues, type StepOutcome, type StepTiming } from "./batch_values.js";
import type { CheckpointTensor } from "./checkpoint_tensor.js";
import { imageInput } from "./forward.js";
import { guessingCost } from "./guessing.js";
import { PhaseSessions } from "./phase_sessions.js";
import type { TrainingPlan } from "./plan.js";
import { buildPhases, loadEvaluation, loadTeacher, type PhaseStep } from "./sessions.js";
import { TrainingState } from "./state.js";
import { Validation } from "./validation.js";

/**
 * Everything that is loaded to train one network: the steps of its phases, the teacher, the evaluation, and
 * the state (parameters, velocities, running statistics) that they share. To go on with another network,
 * release this one and open that one with the state it shall start from.
 */
export class Workbench {
  private isReleased = false;

  private constructor(
    private readonly plan: TrainingPlan,
    readonly device: ResolvedDevice,
    /** What a network costs that has learned nothing: see `guessingLoss`. */
    readonly guessing: number,
    private readonly batchValues: BatchValues,
    private readonly state: TrainingState,
    private readonly phases: readonly PhaseStep[],
    private readonly sessions: PhaseSessions,
    /** Undefined where no images are held out. */
    private readonly validation: Validation | undefined,
    /** What else is loaded. */
    private readonly others: readonly Session[],
  ) {}

  /**
   * Loads a network; the state starts from its initializers, velocities from zero.
   * @param network with the batch of the plan
   * @throws PenniError what building the steps or loading the sessions throws; "unsupported" if the plan's
   *   device is not usable here
   */
  static async open(network: Graph, plan: TrainingPlan, imageDims: ModelImageDims): Promise<Workbench> {
    const device = await resolveDevice(plan.device ?? "cpu");
    const { provider } = device;
    const state = new TrainingState(residentValues(nodeEngine, provider));
    const phases = await buildPhases(network, plan, state, provider);
    const sessions = await PhaseSessions.open(phases.map(({ open }) => open));
    const teacher = await loadTeacher(network, plan, provider);
    const evaluation =
      plan.data.validation > 0 ? await loadEvaluation(network, plan, state, provider) : undefined;
    const values = new BatchValues(plan, imageInput(network).name, imageDims, provider, teacher);
    const validation = evaluation && new Validation(evaluation, state, values, teacher);
    const others = [teacher, evaluation].filter((part) => part !== undefined).map(({ session }) => session);
    const guessing = guessingCost(network, plan);
    collectGarbage();
    return new Workbench(plan, device, guessing, values, state, phases, sessions, validation, others);
  }

  phaseName(phase: number): string {
    return this.phaseAt(phase).name;
  }

  /**
   * Runs one step of a phase on a batch. The loss is that of the state before the step, over which the step may write:
   * whoever may want that state back has saved it before.
   */
  async runStep(phase: number, batch: Batch, timing: StepTiming): Promise<StepOutcome> {
    const { step, masks, slots } = this.phaseAt(phase);
    const session = await this.sessions.forStep(phase);
    const feeds: Feeds = {
      ...(await this.batchValues.feeds(batch, step, timing)),
      ...(await masks.feeds([...masks.names])),
      ...(await this.state.feeds([...slots.map(({ input }) => input), ...step.constants.keys()])),
    };
    const results = await session.run(feeds, {
      ...this.state.fetches(slots),
      ...this.batchValues.targets(),
    });
    this.state.receive(slots, results);
    return this.batchValues.outcome(results);
  }

  /** Makes what the last step of this phase computed the present state. */
  commit(phase: number): void {
    this.state.advance(this.phaseAt(phase).slots);
  }

  /** Number of images whose class is predicted right with the present parameters. */
  async countHits(batches: AsyncIterable<Batch>): Promise<number> {
    return this.heldOut.countHits(batches);
  }

  /** How well the matched outputs agree with the original's, with the present parameters. */
  async compareOutputs(batches: AsyncIterable<Batch>): Promise<readonly OutputAgreement[]> {
    return this.heldOut.compareOutputs(batches);
  }

  private get heldOut(): Validation {
    if (this.validation !== undefined) return this.validation;
    throw new PenniError("internal", "the plan holds out no images for validation");
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

  /** Does work with other values in the place of the present ones, which stand in theirs meanwhile. */
  async withValues<Result>(
    values: ReadonlyMap<string, CheckpointTensor>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    await this.state.read();
    const exchange = (): void => {
      for (const [name, { data }] of values) this.state.exchange(name, data);
    };
    exchange();
    try {
      return await work();
    } finally {
      exchange();
    }
  }

  /** Replaces some of the present values. */
  replace(values: ReadonlyMap<string, Float32Array>): void {
    for (const [name, data] of values) this.state.write(name, data);
  }

  restore(tensors: ReadonlyMap<string, CheckpointTensor>): void {
    this.state.restore(tensors);
  }

  /** A network with the present values as its initializers; shares their memory. */
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
    for (const session of this.others) await session.release();
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
}
