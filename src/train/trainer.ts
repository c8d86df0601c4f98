import { planEpoch, planEvaluation } from "../data/batches.js";
import { labelsOf, type Split } from "../data/dataset.js";
import { holdOut, sampleIndices } from "../data/hold_out.js";
import { openDataset } from "../data/open.js";
import { prefetch } from "../data/prefetch.js";
import { imageDims } from "../data/preprocessing.js";
import { resizeSplit } from "../data/resize_split.js";
import { readModel, writeModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import { imageAxes } from "../graph/image_input.js";
import { checkClassCount } from "../measure/classes.js";
import type { Checkpoint } from "./checkpoint.js";
import { CheckpointStore, stageIdentity } from "./checkpoint_store.js";
import { followLoss, type LossTrend, lossProblem, stateProblem } from "./divergence.js";
import type { Pruner } from "./gradual_pruning.js";
import type { EpochMetrics, EpochTiming, Recovery, TrainingPlan, TrainingProgress } from "./plan.js";
import { RunningAverage } from "./running_average.js";
import { learningRate } from "./schedule.js";
import type { Shrinker } from "./shrinking.js";
import { imageInput } from "./step.js";
import { TrainedNetwork } from "./trained_network.js";
import type { StepOutcome, Workbench } from "./workbench.js";

/** Where a trainer reports to; `stopRequested` is asked between steps. */
export interface TrainerHooks {
  progress(progress: TrainingProgress): void;
  /** Once it is in a checkpoint; after resuming, those before come again. */
  epoch(metrics: EpochMetrics): void;
  timing(timing: EpochTiming): void;
  /** Something the user should know, in one line. */
  notice(text: string): void;
  stopRequested(): boolean;
}

/** How far training got: to the end of an epoch, or to a state that cannot be gone on from. */
type EpochOutcome = "epoch" | "stopped" | "finished" | { readonly problem: string };

interface EpochSums {
  lossSum: number;
  hits: number;
  images: number;
}

interface Clock {
  steps: number;
  milliseconds: number;
}

const PROGRESS_INTERVAL_MS = 200;
/** A stage goes back to its checkpoint so many times, each time with half the learning rate. */
const MOST_RECOVERIES = 3;
const RECOVERY_FACTOR = 0.5;

/**
 * Runs one training stage: loads plan, network, data and the checkpoint if there is one, then trains to the
 * end and writes the result. Batches, phases and learning rate follow from the number of the step alone, so
 * a run that stopped anywhere goes on exactly where its checkpoint was taken.
 */
export class Trainer {
  private readonly sums: EpochSums = { lossSum: 0, hits: 0, images: 0 };
  private history: readonly EpochMetrics[] = [];
  private recoveries: readonly Recovery[] = [];
  private trend: LossTrend | undefined;
  /** Epochs that are done but in no checkpoint yet. */
  private unreported: readonly EpochMetrics[] = [];
  private step = 0;
  private readonly average: RunningAverage | undefined;
  /** The step at whose beginning it was last seen whether the network can shrink; in a checkpoint that is its own. */
  private shrunkAt = -1;
  /** Long ago: the state a stage starts from is saved as soon as its loss is known to be good. */
  private savedAt = 0;
  /** Of the current epoch. */
  private readonly clock: Clock = { steps: 0, milliseconds: 0 };
  private speed = 0;
  private lastProgress = 0;

  private constructor(
    private readonly plan: TrainingPlan,
    private readonly hooks: TrainerHooks,
    private readonly network: TrainedNetwork,
    private readonly split: Split,
    private readonly trainIndices: Uint32Array,
    private readonly validationIndices: Uint32Array,
    private readonly checkpoints: CheckpointStore,
  ) {
    if (plan.averaging !== undefined) this.average = new RunningAverage(plan.averaging);
  }

  /**
   * @param shrinker used where the plan asks for shrinking, as `pruner` for gradual pruning
   * @returns "done" if the result is written, "stopped" if a stop was requested and a checkpoint is written
   */
  static async run(
    plan: TrainingPlan,
    hooks: TrainerHooks,
    { shrinker, pruner }: { readonly shrinker?: Shrinker; readonly pruner?: Pruner } = {},
  ): Promise<"done" | "stopped"> {
    const { spec, classes, preprocessing } = plan.data;
    const model = await readModel(plan.network);
    const { height, width } = imageAxes(imageInput(model).type.shape, preprocessing.layout) ?? {};
    const size = typeof height === "number" && typeof width === "number" ? { height, width } : undefined;
    const { readAt = size } = plan.data;
    const dataset = await openDataset(spec, {
      preprocessing,
      ...(readAt === undefined ? {} : { imageSize: readAt }),
      ...(classes === undefined ? {} : { classes }),
    });
    if (plan.reference !== "original") checkClassCount(model, dataset.classNames?.length);
    const split = resizeSplit(await dataset.train(), size);
    if (plan.reference !== "original") labelsOf(split);
    const held = holdOut(split, plan.data.validation, plan.seed);
    const train = sampleIndices(held.train, plan.data.trainLimit ?? held.train.length, plan.seed);
    const notice = (text: string): void => hooks.notice(text);
    const store = new CheckpointStore(plan.checkpoint, await stageIdentity(plan), notice);
    const checkpoint = await store.read();
    const network = await TrainedNetwork.open(
      { plan, imageDims: imageDims(split, preprocessing), shrinker, pruner },
      checkpoint?.network,
    );
    const { provider, reason } = network.workbench.device;
    if (provider !== plan.device && plan.device !== undefined)
      hooks.notice(`training on ${provider}: ${reason}`);
    try {
      const trainer = new Trainer(plan, hooks, network, split, train, held.validation, store);
      return await trainer.train(checkpoint);
    } finally {
      await network.release();
    }
  }

  private get workbench(): Workbench {
    return this.network.workbench;
  }

  private get stepsPerEpoch(): number {
    return Math.floor(this.trainIndices.length / this.plan.batch);
  }

  private get steps(): number {
    return Math.round(this.plan.epochs * this.stepsPerEpoch);
  }

  private async train(checkpoint: Checkpoint | undefined): Promise<"done" | "stopped"> {
    this.checkData();
    if (checkpoint !== undefined) await this.resume(checkpoint);
    let outcome: EpochOutcome = this.step < this.steps ? "epoch" : "finished";
    while (outcome !== "finished") {
      if (outcome === "stopped") return "stopped";
      if (outcome !== "epoch") await this.goBack(outcome.problem);
      outcome = await this.trainEpoch();
    }
    await writeModel(this.plan.result, await this.averaged(() => this.network.present()));
    return "done";
  }

  private checkData(): void {
    if (this.stepsPerEpoch >= 1) return;
    throw new PenniError("bad-data", "there are fewer training images than one batch", {
      expected: `at least ${this.plan.batch}`,
      found: `${this.trainIndices.length}`,
      advice: "Give more images or a smaller --batch",
    });
  }

  private async resume(checkpoint: Checkpoint): Promise<void> {
    await this.goOnFrom(checkpoint);
    this.savedAt = Date.now();
    // Whoever listened before may not have heard of the last ones.
    for (const metrics of checkpoint.history) this.hooks.epoch(metrics);
  }

  private async goOnFrom(checkpoint: Checkpoint): Promise<void> {
    const { step, lossSum, hits, images, trend, recoveries, history, tensors, network } = checkpoint;
    this.step = step;
    this.shrunkAt = step;
    Object.assign(this.sums, { lossSum, hits, images });
    Object.assign(this.clock, { steps: 0, milliseconds: 0 });
    this.trend = trend;
    this.recoveries = recoveries;
    this.history = history;
    this.unreported = [];
    await this.network.goTo(network);
    this.workbench.restore(this.average?.restore(tensors) ?? tensors);
  }

  /** Does work with the averaged weights where they are averaged, else with the present ones. */
  private averaged<Result>(work: () => Promise<Result>): Promise<Result> {
    const { average } = this;
    return average === undefined ? work() : this.workbench.withValues(average.tensors, work);
  }

  private async followAverage(): Promise<void> {
    if (this.average?.isDue(this.step) === true)
      this.average.follow(this.step, await this.workbench.values());
  }

  /**
   * Goes back to the last checkpoint, with half the learning rate and no momentum: what is in the velocities
   * led to the trouble.
   * @throws PenniError "diverged" after three times, or if there is nothing to go back to
   */
  private async goBack(problem: string): Promise<void> {
    const found = `${problem} at step ${this.step + 1} of stage "${this.plan.stage}"`;
    const checkpoint = await this.checkpoints.read();
    if (checkpoint === undefined) throw badStart(found);
    if (checkpoint.recoveries.length >= MOST_RECOVERIES) throw this.gaveUp(found);
    const rateFactor = this.rateFactor * RECOVERY_FACTOR;
    const recovery: Recovery = { problem, step: this.step, backTo: checkpoint.step, rateFactor };
    await this.goOnFrom(checkpoint);
    this.workbench.setVelocities(new Map());
    this.recoveries = [...checkpoint.recoveries, recovery];
    await this.write();
    const attempt = `attempt ${this.recoveries.length} of ${MOST_RECOVERIES}`;
    this.hooks.notice(
      `${found}: back to step ${checkpoint.step} with ${rateFactor} times the learning rate (${attempt})`,
    );
  }

  private gaveUp(found: string): PenniError {
    const rate = this.rateAt(this.step).toPrecision(2);
    return new PenniError(
      "diverged",
      `training diverges, ${MOST_RECOVERIES} smaller learning rates included`,
      {
        found: `${found}, at learning rate ${rate}`,
        advice: `Start a new run with a learning rate (--lr, --fine-tune-lr) well below ${rate}`,
      },
    );
  }

  private get isSaveDue(): boolean {
    return this.unreported.length > 0 || Date.now() - this.savedAt > this.plan.checkpointSeconds * 1000;
  }

  /** Saves the present state and reports the epochs that are safe now; what is wrong with it if it is not good. */
  private async save(): Promise<string | undefined> {
    const problem = stateProblem(await this.workbench.snapshot());
    if (problem !== undefined) return problem;
    await this.write();
    for (const metrics of this.unreported) this.hooks.epoch(metrics);
    this.unreported = [];
    return undefined;
  }

  private async write(): Promise<void> {
    const { step, trend, recoveries, history } = this;
    const { shrunk } = this.network;
    await this.checkpoints.write({
      step,
      ...this.sums,
      ...(trend === undefined ? {} : { trend }),
      recoveries,
      history,
      tensors: new Map([...(await this.workbench.snapshot()), ...(this.average?.saved() ?? [])]),
      ...(shrunk === undefined ? {} : { network: shrunk }),
    });
    this.savedAt = Date.now();
  }

  /**
   * Trains to the end of the current epoch. The loss of a step judges the state that the step before it left,
   * so a state is saved, and the stage is finished, one step later, before that step takes effect. Only where that
   * is due does a step keep the state that it starts from.
   */
  private async trainEpoch(): Promise<EpochOutcome> {
    await this.shrink();
    const { data, seed, batch } = this.plan;
    const epochPlan = planEpoch(this.split, this.trainIndices, {
      batch,
      preprocessing: data.preprocessing,
      augmentation: data.augmentation,
      seed,
      epoch: this.epochsBefore + Math.floor(this.step / this.stepsPerEpoch),
      startBatch: this.step % this.stepsPerEpoch,
    });
    let started = performance.now();
    for await (const images of prefetch(epochPlan)) {
      const phase = this.phaseAt(this.step);
      const isFinished = this.step === this.steps;
      const isStopped = this.hooks.stopRequested();
      const isDue = isFinished || isStopped || this.isSaveDue;
      const outcome = await this.workbench.runStep(phase, images, this.rateAt(this.step), isDue);
      const milliseconds = performance.now() - started;
      const problem = this.problemOf(outcome) ?? (isDue ? await this.save() : undefined);
      if (problem !== undefined) return { problem };
      if (isFinished) return "finished";
      if (isStopped) return "stopped";
      this.workbench.commit(phase);
      this.count(outcome, milliseconds);
      await this.prune();
      await this.followAverage();
      this.report(phase, milliseconds);
      if (this.isEpochEnd) await this.finishEpoch(phase);
      started = performance.now();
    }
    return "epoch";
  }

  private get isEpochEnd(): boolean {
    return this.step % this.stepsPerEpoch === 0 || this.step === this.steps;
  }

  /** Removes coefficients where that is due: right after a step, so that its checkpoint has them as zeros. */
  private async prune(): Promise<void> {
    const { pruning } = this.plan;
    if (pruning === undefined || !(this.isEpochEnd || this.step % pruning.interval === 0)) return;
    await this.network.prune(this.step / this.steps);
  }

  /**
   * Makes the network smaller where an epoch begins and that is worth it. Checkpoints of a step are taken after
   * this, with the network as it is then, and a stage that goes on from one does not ask again: so it depends on
   * nothing but the step and its state.
   */
  private async shrink(): Promise<void> {
    if (this.step % this.stepsPerEpoch !== 0 || this.step === this.shrunkAt || this.step >= this.steps)
      return;
    this.shrunkAt = this.step;
    const shrinkage = await this.network.shrink();
    if (shrinkage === undefined) return;
    this.average?.shrink(shrinkage.mapping);
    const epoch = this.epochsBefore + this.step / this.stepsPerEpoch + 1;
    this.hooks.notice(
      `shrunk before epoch ${epoch}: ${millions(shrinkage.before)} -> ${millions(shrinkage.after)} M MACs a forward pass`,
    );
  }

  private phaseAt(step: number): number {
    const phaseSteps = Math.max(1, Math.round(this.plan.phaseEpochs * this.stepsPerEpoch));
    return Math.floor(step / phaseSteps) % this.plan.phases.length;
  }

  private get epochsBefore(): number {
    return this.plan.part === undefined ? 0 : this.plan.part.epochsBefore;
  }

  private get rateFactor(): number {
    return RECOVERY_FACTOR ** this.recoveries.length;
  }

  private rateAt(step: number): number {
    const { part, schedule } = this.plan;
    const progress =
      part === undefined
        ? step / this.steps
        : (part.epochsBefore * this.stepsPerEpoch + step) / (part.epochsInAll * this.stepsPerEpoch);
    return this.rateFactor * learningRate(schedule, progress);
  }

  private problemOf({ loss }: StepOutcome): string | undefined {
    return lossProblem(loss, this.trend, this.workbench.guessing);
  }

  private count({ loss, hits }: StepOutcome, milliseconds: number): void {
    this.step += 1;
    this.clock.steps += 1;
    this.clock.milliseconds += milliseconds;
    this.trend = followLoss(this.trend, loss);
    this.sums.lossSum += loss * this.plan.batch;
    this.sums.hits += hits;
    this.sums.images += this.plan.batch;
  }

  private report(phase: number, milliseconds: number): void {
    const imagesPerSecond = (1000 * this.plan.batch) / milliseconds;
    this.speed = this.speed === 0 ? imagesPerSecond : 0.9 * this.speed + 0.1 * imagesPerSecond;
    const now = Date.now();
    if (now - this.lastProgress < PROGRESS_INTERVAL_MS && this.step < this.steps) return;
    this.lastProgress = now;
    const { images, lossSum, hits } = this.sums;
    this.hooks.progress({
      stage: this.plan.stage,
      phase: this.workbench.phaseName(phase),
      step: this.step,
      steps: this.steps,
      epoch: this.epochsBefore + Math.floor((this.step - 1) / this.stepsPerEpoch) + 1,
      epochs: Math.ceil(this.plan.part?.epochsInAll ?? this.plan.epochs),
      loss: lossSum / images,
      ...this.accuracy(hits / images),
      sparsity: this.network.lastSparsity(),
      imagesPerSecond: this.speed,
      secondsLeft: ((this.steps - this.step) * this.plan.batch) / this.speed,
    });
  }

  /** Makes the metrics of the epoch whose last step, of this phase, is done. */
  private async finishEpoch(phase: number): Promise<void> {
    const { images, lossSum, hits } = this.sums;
    const told = this.history.flatMap((metrics) => metrics.recoveries ?? []).length;
    const recoveries = this.recoveries.slice(told);
    const { stage } = this.plan;
    const { macs } = this.network;
    const epoch = this.epochsBefore + Math.ceil(this.step / this.stepsPerEpoch);
    const metrics: EpochMetrics = {
      stage,
      phase: this.workbench.phaseName(phase),
      epoch,
      step: this.step,
      learningRate: this.rateAt(this.step - 1),
      loss: lossSum / images,
      ...this.accuracy(hits / images),
      sparsity: await this.network.sparsity(),
      macs,
      ...(await this.averaged(() => this.validation())),
      ...(recoveries.length === 0 ? {} : { recoveries }),
    };
    this.history = [...this.history, metrics];
    this.unreported = [...this.unreported, metrics];
    Object.assign(this.sums, { lossSum: 0, hits: 0, images: 0 });
    const { steps, milliseconds } = this.clock;
    this.hooks.timing({ stage, epoch, steps, seconds: milliseconds / 1000, macs });
    Object.assign(this.clock, { steps: 0, milliseconds: 0 });
  }

  /** Where the labels are the reference. */
  private accuracy(top1: number): { readonly accuracy?: number } {
    return this.isLabelled ? { accuracy: top1 } : {};
  }

  private get isLabelled(): boolean {
    return this.plan.reference !== "original";
  }

  /** What the present parameters make of the validation images, where there are any. */
  private async validation(): Promise<Pick<EpochMetrics, "validation" | "outputs">> {
    const { length } = this.validationIndices;
    if (length === 0) return {};
    const { batch, data } = this.plan;
    const plan = planEvaluation(this.split, this.validationIndices, {
      batch,
      preprocessing: data.preprocessing,
    });
    if (!this.isLabelled) return { outputs: [...(await this.workbench.compareOutputs(prefetch(plan)))] };
    return { validation: (await this.workbench.countHits(prefetch(plan))) / length };
  }
}

function badStart(found: string): PenniError {
  return new PenniError("diverged", "a training stage starts from a network with no usable loss", {
    found,
    advice:
      "Check that the network's weights are finite and that --mean and --std are those it was trained with",
  });
}

function millions(macs: number): string {
  const format = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });
  return format.format(macs / 1e6);
}
