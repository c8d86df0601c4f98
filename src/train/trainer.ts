import { type BatchPlan, planEpoch } from "../data/batches.js";
import { prefetch } from "../data/prefetch.js";
import { imageDims } from "../data/preprocessing.js";
import { readModel, writeModel } from "../files/model_files.js";
import type { StoredCheckpoint } from "./checkpoint.js";
import { CheckpointStore, stageIdentity } from "./checkpoint_store.js";
import type { Pruner } from "./gradual_pruning.js";
import type { EpochMetrics, EpochTiming, TrainingPlan, TrainingProgress } from "./plan.js";
import { ProgressMeter } from "./progress_meter.js";
import { Safekeeping, type SafekeepingHooks } from "./safekeeping.js";
import type { Shrinker } from "./shrinking.js";
import { StageState } from "./stage_state.js";
import { Timetable } from "./timetable.js";
import { TrainedNetwork } from "./trained_network.js";
import { checkEnough, openTrainingImages, type TrainingImages, validate } from "./training_images.js";
import type { Workbench } from "./workbench.js";

/** Where a trainer reports to; `stopRequested` is asked between steps. */
export interface TrainerHooks extends SafekeepingHooks {
  progress(progress: TrainingProgress): void;
  timing(timing: EpochTiming): void;
  stopRequested(): boolean;
}

/** How far training got: to the end of an epoch, or to a state that cannot be gone on from. */
type EpochOutcome = "epoch" | "stopped" | "finished" | { readonly problem: string };

/**
 * Runs one training stage: loads plan, network, data and the checkpoint if there is one, then trains to the
 * end and writes the result. Batches, phases and learning rate follow from the number of the step alone, so
 * a run that stopped anywhere goes on exactly where its checkpoint was taken.
 */
export class Trainer {
  private readonly timetable: Timetable;
  private readonly state: StageState;
  private readonly safekeeping: Safekeeping;
  private readonly meter: ProgressMeter;

  private constructor(
    private readonly plan: TrainingPlan,
    private readonly hooks: TrainerHooks,
    private readonly network: TrainedNetwork,
    private readonly images: TrainingImages,
    store: CheckpointStore,
  ) {
    this.timetable = new Timetable(plan, images.train.length);
    this.state = new StageState(plan, this.timetable, network);
    this.safekeeping = new Safekeeping(plan, this.state, store, hooks);
    this.meter = new ProgressMeter(plan, this.state, (progress) => hooks.progress(progress));
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
    const images = await imagesOf(plan);
    const notice = (text: string): void => hooks.notice(text);
    const store = new CheckpointStore(plan.checkpoint, await stageIdentity(plan), notice);
    const checkpoint = await store.read();
    const dims = imageDims(images.split, plan.data.preprocessing);
    const network = await TrainedNetwork.open(
      { plan, imageDims: dims, shrinker, pruner },
      checkpoint?.network,
    );
    const { provider, reason } = network.workbench.device;
    if (provider !== plan.device && plan.device !== undefined)
      hooks.notice(`training on ${provider}: ${reason}`);
    try {
      return await new Trainer(plan, hooks, network, images, store).train(checkpoint);
    } finally {
      await network.release();
    }
  }

  private get workbench(): Workbench {
    return this.network.workbench;
  }

  private async train(checkpoint: StoredCheckpoint | undefined): Promise<"done" | "stopped"> {
    checkEnough(this.images, this.plan);
    if (checkpoint !== undefined) await this.safekeeping.resume(checkpoint);
    let outcome: EpochOutcome = this.state.step < this.timetable.steps ? "epoch" : "finished";
    while (outcome !== "finished") {
      if (outcome === "stopped") return "stopped";
      if (outcome !== "epoch") await this.safekeeping.goBack(outcome.problem);
      outcome = await this.trainEpoch();
    }
    await this.safekeeping.takeBack();
    await this.state.averaged(() => this.writeResult());
    return "done";
  }

  private async writeResult(): Promise<void> {
    const result = await this.network.present();
    // The sessions have the memory that putting a file together takes.
    await this.network.release();
    await writeModel(this.plan.result, result);
  }

  /**
   * Trains to the end of the current epoch. The loss of a step judges the state that the step before it left,
   * so where a state is to be saved, or the stage is finished, it is written, one step more is done, and then it is kept.
   */
  private async trainEpoch(): Promise<EpochOutcome> {
    await this.shrink();
    const { state, timetable } = this;
    let started = performance.now();
    for await (const images of prefetch(this.epochPlan())) {
      const phase = timetable.phaseAfter(state.step);
      const isFinished = state.step === timetable.steps;
      const isStopped = this.hooks.stopRequested();
      const isDue = isFinished || isStopped || this.safekeeping.isDue;
      const timing = { rate: state.rateAfter(state.step), number: state.step };
      const writing = performance.now();
      const draft = isDue ? await this.safekeeping.draft() : undefined;
      started += performance.now() - writing;
      const outcome = await this.workbench.runStep(phase, images, timing);
      const milliseconds = performance.now() - started;
      const bad = state.recoveries.problemOf(outcome.loss, this.workbench.guessing);
      const problem = draft === undefined ? bad : await this.safekeeping.save(draft, bad);
      if (problem !== undefined) return { problem };
      if (isFinished) return "finished";
      if (isStopped) return "stopped";
      this.workbench.commit(phase);
      state.step += 1;
      state.recoveries.follow(outcome.loss);
      state.books.count(outcome, this.plan.batch, milliseconds);
      await this.prune();
      await state.followAverage();
      this.meter.stepDone(phase, milliseconds);
      if (timetable.isEpochEnd(state.step)) await this.finishEpoch(phase);
      started = performance.now();
    }
    return "epoch";
  }

  /** What is left of the current epoch's batches. */
  private epochPlan(): BatchPlan {
    const { data, seed, batch } = this.plan;
    const { step } = this.state;
    return planEpoch(this.images.split, this.images.train, {
      batch,
      preprocessing: data.preprocessing,
      augmentation: data.augmentation,
      seed,
      epoch: this.timetable.epochAfter(step),
      startBatch: step % this.timetable.stepsPerEpoch,
    });
  }

  /** Removes coefficients where that is due: right after a step, so that its checkpoint has them as zeros. */
  private async prune(): Promise<void> {
    const { pruning } = this.plan;
    const { step } = this.state;
    if (pruning === undefined || !(this.timetable.isEpochEnd(step) || step % pruning.interval === 0)) return;
    await this.network.prune(step / this.timetable.steps);
  }

  /**
   * Makes the network smaller where an epoch begins and that is worth it. Checkpoints of a step are taken after
   * this, with the network as it is then, and a stage that goes on from one does not ask again: so it depends on
   * nothing but the step and its state.
   */
  private async shrink(): Promise<void> {
    const { state, timetable } = this;
    const { step } = state;
    if (!timetable.isEpochBorder(step) || step === state.shrunkAt || step >= timetable.steps) return;
    state.shrunkAt = step;
    const shrinkage = await this.network.shrink();
    if (shrinkage === undefined) return;
    state.average?.shrink(shrinkage.mapping);
    this.hooks.notice(
      `shrunk before epoch ${timetable.epochOf(step + 1)}: ${millions(shrinkage.before)} -> ${millions(shrinkage.after)} M MACs a forward pass`,
    );
  }

  /** Makes the metrics of the epoch whose last step, of this phase, is done. */
  private async finishEpoch(phase: number): Promise<void> {
    const { state, network } = this;
    const { step, books } = state;
    const recoveries = books.untold(state.recoveries.list);
    const metrics: EpochMetrics = {
      stage: this.plan.stage,
      phase: this.workbench.phaseName(phase),
      epoch: this.timetable.epochOf(step),
      step,
      learningRate: state.rateAfter(step - 1),
      ...books.means,
      sparsity: await network.sparsity(),
      macs: network.macs,
      ...(await state.averaged(() => validate(this.workbench, this.images, this.plan))),
      ...(recoveries.length === 0 ? {} : { recoveries }),
    };
    this.hooks.timing(books.close(metrics));
  }
}

/** A function of its own: a frame that waits holds what it has read, and a network is large. */
async function imagesOf(plan: TrainingPlan): Promise<TrainingImages> {
  return openTrainingImages(plan, await readModel(plan.network));
}

function millions(macs: number): string {
  const format = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });
  return format.format(macs / 1e6);
}
