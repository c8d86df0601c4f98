import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { planEpoch, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { holdOut, sampleIndices } from "../data/hold_out.js";
import { openDataset } from "../data/open.js";
import { prefetch } from "../data/prefetch.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { readModel, writeModel } from "../onnx/files.js";
import type { Checkpoint, StageIdentity } from "./checkpoint.js";
import { CheckpointStore } from "./checkpoint_store.js";
import { followLoss, guessingLoss, type LossTrend, lossProblem, stateProblem } from "./divergence.js";
import type { EpochMetrics, Recovery, TrainingPlan, TrainingProgress } from "./plan.js";
import { learningRate } from "./schedule.js";
import { imageInput } from "./step.js";
import { type StepOutcome, Workbench } from "./workbench.js";

/** Where a trainer reports to; `stopRequested` is asked between steps. */
export interface TrainerHooks {
  progress(progress: TrainingProgress): void;
  epoch(metrics: EpochMetrics): void;
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
  /** Long ago: the state a stage starts from is saved as soon as its loss is known to be good. */
  private savedAt = 0;
  private speed = 0;
  private lastProgress = 0;

  private constructor(
    private readonly plan: TrainingPlan,
    private readonly hooks: TrainerHooks,
    private readonly workbench: Workbench,
    private readonly split: Split,
    private readonly trainIndices: Uint32Array,
    private readonly validationIndices: Uint32Array,
    private readonly checkpoints: CheckpointStore,
  ) {}

  /** @returns "done" if the result is written, "stopped" if a stop was requested and a checkpoint is written */
  static async run(plan: TrainingPlan, hooks: TrainerHooks): Promise<"done" | "stopped"> {
    const network = fixBatch(await readModel(plan.network), plan.batch);
    const { shape } = imageInput(network).type;
    const [, , height, width] = shape ?? [];
    const size =
      typeof height === "number" && typeof width === "number" ? { imageSize: { height, width } } : {};
    const dataset = await openDataset(plan.data.spec, size);
    const split = await dataset.train();
    const held = holdOut(split.labels, plan.data.validation, plan.seed);
    const train = sampleIndices(held.train, plan.data.trainLimit ?? held.train.length, plan.seed);
    const workbench = await Workbench.open(network, plan, [split.channels, split.height, split.width]);
    const { provider, reason } = workbench.device;
    if (provider !== plan.device && plan.device !== undefined)
      hooks.notice(`training on ${provider}: ${reason}`);
    try {
      const notice = (text: string): void => hooks.notice(text);
      const store = new CheckpointStore(plan.checkpoint, await identityOf(plan), notice);
      const trainer = new Trainer(plan, hooks, workbench, split, train, held.validation, store);
      return await trainer.train();
    } finally {
      await workbench.release();
    }
  }

  private get stepsPerEpoch(): number {
    return Math.floor(this.trainIndices.length / this.plan.batch);
  }

  private get steps(): number {
    return Math.round(this.plan.epochs * this.stepsPerEpoch);
  }

  private async train(): Promise<"done" | "stopped"> {
    this.checkData();
    await this.resume();
    let outcome: EpochOutcome = this.step < this.steps ? "epoch" : "finished";
    while (outcome !== "finished") {
      if (outcome === "stopped") return "stopped";
      if (outcome !== "epoch") await this.goBack(outcome.problem);
      outcome = await this.trainEpoch();
    }
    await writeModel(this.plan.result, await this.workbench.applyTo(await readModel(this.plan.network)));
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

  private async resume(): Promise<void> {
    const checkpoint = await this.checkpoints.read();
    if (checkpoint === undefined) return;
    this.goOnFrom(checkpoint);
    this.savedAt = Date.now();
    // Whoever listened before may not have heard of the last ones.
    for (const metrics of checkpoint.history) this.hooks.epoch(metrics);
  }

  private goOnFrom({ step, lossSum, hits, images, trend, recoveries, history, tensors }: Checkpoint): void {
    this.step = step;
    Object.assign(this.sums, { lossSum, hits, images });
    this.trend = trend;
    this.recoveries = recoveries;
    this.history = history;
    this.unreported = [];
    this.workbench.restore(tensors);
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
    this.goOnFrom({ ...checkpoint, tensors: this.workbench.atRest(checkpoint.tensors) });
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
    await this.checkpoints.write({
      step,
      ...this.sums,
      ...(trend === undefined ? {} : { trend }),
      recoveries,
      history,
      tensors: await this.workbench.snapshot(),
    });
    this.savedAt = Date.now();
  }

  /**
   * Trains to the end of the current epoch. The loss of a step judges the state that the step before it left,
   * so a state is saved, and the stage is finished, one step later, before that step takes effect.
   */
  private async trainEpoch(): Promise<EpochOutcome> {
    const { data, seed, batch } = this.plan;
    const epochPlan = planEpoch(this.split, this.trainIndices, {
      batch,
      preprocessing: data.preprocessing,
      augmentation: data.augmentation,
      seed,
      epoch: Math.floor(this.step / this.stepsPerEpoch),
      startBatch: this.step % this.stepsPerEpoch,
    });
    for await (const images of prefetch(epochPlan)) {
      const started = performance.now();
      const phase = this.phaseAt(this.step);
      const outcome = await this.workbench.runStep(phase, images, this.rateAt(this.step));
      const isFinished = this.step === this.steps;
      const isStopped = this.hooks.stopRequested();
      const isDue = isFinished || isStopped || this.isSaveDue;
      const problem = this.problemOf(outcome) ?? (isDue ? await this.save() : undefined);
      if (problem !== undefined) return { problem };
      if (isFinished) return "finished";
      if (isStopped) return "stopped";
      this.workbench.commit(phase);
      this.count(outcome);
      this.report(phase, performance.now() - started);
      if (this.step % this.stepsPerEpoch === 0 || this.step === this.steps) await this.finishEpoch(phase);
    }
    return "epoch";
  }

  private phaseAt(step: number): number {
    const phaseSteps = Math.max(1, Math.round(this.plan.phaseEpochs * this.stepsPerEpoch));
    return Math.floor(step / phaseSteps) % this.plan.phases.length;
  }

  private get rateFactor(): number {
    return RECOVERY_FACTOR ** this.recoveries.length;
  }

  private rateAt(step: number): number {
    return this.rateFactor * learningRate(this.plan.schedule, step / this.steps);
  }

  private problemOf({ loss }: StepOutcome): string | undefined {
    return lossProblem(loss, this.trend, guessingLoss(this.plan.loss, this.workbench.classes));
  }

  private count({ loss, hits }: StepOutcome): void {
    this.step += 1;
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
      epoch: Math.floor((this.step - 1) / this.stepsPerEpoch) + 1,
      epochs: Math.ceil(this.plan.epochs),
      loss: lossSum / images,
      accuracy: hits / images,
      sparsity: this.workbench.lastSparsity(),
      imagesPerSecond: this.speed,
      secondsLeft: ((this.steps - this.step) * this.plan.batch) / this.speed,
    });
  }

  /** Makes the metrics of the epoch whose last step, of this phase, is done. */
  private async finishEpoch(phase: number): Promise<void> {
    const { images, lossSum, hits } = this.sums;
    const told = this.history.flatMap((metrics) => metrics.recoveries ?? []).length;
    const recoveries = this.recoveries.slice(told);
    const metrics: EpochMetrics = {
      stage: this.plan.stage,
      phase: this.workbench.phaseName(phase),
      epoch: Math.ceil(this.step / this.stepsPerEpoch),
      step: this.step,
      learningRate: this.rateAt(this.step - 1),
      loss: lossSum / images,
      accuracy: hits / images,
      sparsity: await this.workbench.sparsity(),
      ...(await this.validation()),
      ...(recoveries.length === 0 ? {} : { recoveries }),
    };
    this.history = [...this.history, metrics];
    this.unreported = [...this.unreported, metrics];
    Object.assign(this.sums, { lossSum: 0, hits: 0, images: 0 });
  }

  /** Top-1 on the validation images with the present parameters, where there are any. */
  private async validation(): Promise<Pick<EpochMetrics, "validation">> {
    if (this.validationIndices.length === 0) return {};
    const { batch, data } = this.plan;
    const plan = planEvaluation(this.split, this.validationIndices, {
      batch,
      preprocessing: data.preprocessing,
    });
    return { validation: (await this.workbench.validate(prefetch(plan))) / this.validationIndices.length };
  }
}

function badStart(found: string): PenniError {
  return new PenniError("diverged", "a training stage starts from a network with no usable loss", {
    found,
    advice:
      "Check that the network's weights are finite and that --mean and --std are those it was trained with",
  });
}

/** What determines the outcome: the plan without places and pace, and the bytes of its networks. */
async function identityOf(plan: TrainingPlan): Promise<StageIdentity> {
  const {
    network,
    teacher,
    result: _result,
    checkpoint: _checkpoint,
    checkpointSeconds: _pace,
    device: _place,
    ...rest
  } = plan;
  const hash = createHash("sha256");
  for (const file of [network, teacher]) if (file !== undefined) hash.update(await readFile(file));
  const options = Object.entries(rest).map(([name, value]) => [name, JSON.stringify(value)]);
  return { networks: hash.digest("hex"), options: Object.fromEntries(options) };
}
