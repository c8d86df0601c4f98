import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Tensor as OrtTensor } from "onnxruntime-common";
import { type Batch, planEpoch, planEvaluation } from "../data/batches.js";
import type { Split } from "../data/dataset.js";
import { holdOut, sampleIndices } from "../data/hold_out.js";
import { openDataset } from "../data/open.js";
import { prefetch } from "../data/prefetch.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { readModel, writeModel } from "../onnx/files.js";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { PREDICTED } from "./evaluation.js";
import type { EpochMetrics, TrainingPlan, TrainingProgress } from "./plan.js";
import { learningRate } from "./schedule.js";
import {
  type Evaluation,
  type LoadedPhase,
  loadEvaluation,
  loadPhases,
  loadTeacher,
  type Teacher,
} from "./sessions.js";
import { TrainingState } from "./state.js";
import { imageInput, stepNames } from "./step.js";

/** Where a trainer reports to; `stopRequested` is asked between steps. */
export interface TrainerHooks {
  progress(progress: TrainingProgress): void;
  epoch(metrics: EpochMetrics): void;
  stopRequested(): boolean;
}

interface EpochSums {
  lossSum: number;
  hits: number;
  images: number;
}

const PROGRESS_INTERVAL_MS = 200;

/**
 * Runs one training stage: loads plan, network, data and the checkpoint if there is one, then trains to the
 * end and writes the result. Batches, phases and learning rate follow from the number of the step alone, so
 * a run that stopped anywhere goes on exactly where its checkpoint was taken.
 */
export class Trainer {
  private readonly state = new TrainingState();
  private readonly sums: EpochSums = { lossSum: 0, hits: 0, images: 0 };
  private readonly history: EpochMetrics[] = [];
  private step = 0;
  private speed = 0;
  private lastProgress = 0;

  private constructor(
    private readonly plan: TrainingPlan,
    private readonly hooks: TrainerHooks,
    private readonly network: Graph,
    private readonly split: Split,
    private readonly trainIndices: Uint32Array,
    private readonly validationIndices: Uint32Array,
    private readonly fingerprint: string,
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
    const trainer = new Trainer(
      plan,
      hooks,
      network,
      split,
      train,
      held.validation,
      await fingerprintOf(plan),
    );
    return trainer.train();
  }

  private get stepsPerEpoch(): number {
    return Math.floor(this.trainIndices.length / this.plan.batch);
  }

  private get steps(): number {
    return Math.round(this.plan.epochs * this.stepsPerEpoch);
  }

  private async train(): Promise<"done" | "stopped"> {
    this.checkData();
    const phases = await loadPhases(this.network, this.plan, this.state);
    const teacher = await loadTeacher(this.plan);
    const evaluation =
      this.validationIndices.length > 0
        ? await loadEvaluation(this.network, this.plan, this.state)
        : undefined;
    await this.resume();

    while (this.step < this.steps) {
      const stopped = await this.trainEpoch(phases, teacher);
      const metrics = stopped ? undefined : await this.finishEpoch(phases, evaluation);
      await this.save();
      if (metrics === undefined) return "stopped";
      this.hooks.epoch(metrics);
    }
    await writeModel(this.plan.result, this.state.applyTo(await readModel(this.plan.network)));
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
    const checkpoint = await readCheckpoint(this.plan.checkpoint, this.fingerprint);
    if (checkpoint === undefined) return;
    this.step = checkpoint.step;
    Object.assign(this.sums, {
      lossSum: checkpoint.lossSum,
      hits: checkpoint.hits,
      images: checkpoint.images,
    });
    this.state.restore(checkpoint.tensors);
    this.history.push(...checkpoint.history);
    // Whoever listened before may not have heard of the last ones.
    for (const metrics of checkpoint.history) this.hooks.epoch(metrics);
  }

  private async save(): Promise<void> {
    await writeCheckpoint(this.plan.checkpoint, {
      fingerprint: this.fingerprint,
      step: this.step,
      ...this.sums,
      history: this.history,
      tensors: this.state.snapshot(),
    });
  }

  /** Trains to the end of the current epoch (or of the stage); true if a stop was requested before. */
  private async trainEpoch(phases: readonly LoadedPhase[], teacher: Teacher | undefined): Promise<boolean> {
    const { data, seed, batch } = this.plan;
    const epochPlan = planEpoch(this.split, this.trainIndices, {
      batch,
      preprocessing: data.preprocessing,
      augmentation: data.augmentation,
      seed,
      epoch: Math.floor(this.step / this.stepsPerEpoch),
      startBatch: this.step % this.stepsPerEpoch,
    });
    let savedAt = Date.now();
    for await (const images of prefetch(epochPlan)) {
      if (this.hooks.stopRequested()) return true;
      if (this.step >= this.steps) return false;
      await this.trainBatch(this.phaseAt(phases, this.step), teacher, images);
      if (Date.now() - savedAt > this.plan.checkpointSeconds * 1000) {
        await this.save();
        savedAt = Date.now();
      }
    }
    return false;
  }

  private phaseAt(phases: readonly LoadedPhase[], step: number): LoadedPhase {
    const phaseSteps = Math.max(1, Math.round(this.plan.phaseEpochs * this.stepsPerEpoch));
    const phase = phases[Math.floor(step / phaseSteps) % phases.length];
    if (phase === undefined) throw new PenniError("internal", "a training stage needs a phase");
    return phase;
  }

  private rateAt(step: number): number {
    return learningRate(this.plan.schedule, step / this.steps);
  }

  private async trainBatch(phase: LoadedPhase, teacher: Teacher | undefined, batch: Batch): Promise<void> {
    const started = performance.now();
    const { channels, height, width } = this.split;
    const images = new OrtTensor("float32", batch.images, [this.plan.batch, channels, height, width]);
    const labels = new OrtTensor("int64", batch.labels, [this.plan.batch]);
    const feeds: Record<string, OrtTensor> = {
      [imageInput(this.network).name]: images,
      [stepNames.labels]: labels,
      [stepNames.learningRate]: scalar(this.rateAt(this.step)),
      [stepNames.l1Strength]: scalar(this.plan.l1Strength),
      ...Object.fromEntries(phase.masks),
    };
    if (teacher !== undefined) {
      const known = await teacher.session.run({ [teacher.input]: images });
      const logits = known[teacher.output];
      if (logits !== undefined) feeds[stepNames.teacher] = logits;
    }
    for (const { input } of phase.slots) feeds[input] = this.state.tensor(input);
    for (const name of phase.step.constants.keys()) feeds[name] = this.state.tensor(name);
    const fetches = Object.fromEntries(
      phase.slots.map(({ input, output }) => [output, this.state.target(input)]),
    );
    const results = await phase.session.run(feeds, {
      ...fetches,
      [stepNames.loss]: null,
      [stepNames.hits]: null,
    });
    this.state.advance(phase.slots);
    this.count(Number(results[stepNames.loss]?.data[0]), Number(results[stepNames.hits]?.data[0]));
    this.report(phase, performance.now() - started);
  }

  private count(loss: number, hits: number): void {
    if (!Number.isFinite(loss)) {
      throw new PenniError("training", "the loss is not a finite number any more", {
        found: `${loss} at step ${this.step + 1} of stage "${this.plan.stage}"`,
        advice: "Start again with a smaller --lr",
      });
    }
    this.step += 1;
    this.sums.lossSum += loss * this.plan.batch;
    this.sums.hits += hits;
    this.sums.images += this.plan.batch;
  }

  private report(phase: LoadedPhase, milliseconds: number): void {
    const imagesPerSecond = (1000 * this.plan.batch) / milliseconds;
    this.speed = this.speed === 0 ? imagesPerSecond : 0.9 * this.speed + 0.1 * imagesPerSecond;
    const now = Date.now();
    if (now - this.lastProgress < PROGRESS_INTERVAL_MS && this.step < this.steps) return;
    this.lastProgress = now;
    const { images, lossSum, hits } = this.sums;
    this.hooks.progress({
      stage: this.plan.stage,
      phase: phase.name,
      step: this.step,
      steps: this.steps,
      epoch: Math.floor((this.step - 1) / this.stepsPerEpoch) + 1,
      epochs: Math.ceil(this.plan.epochs),
      loss: lossSum / images,
      accuracy: hits / images,
      sparsity: this.state.zeroShare(this.plan.sparse),
      imagesPerSecond: this.speed,
      secondsLeft: ((this.steps - this.step) * this.plan.batch) / this.speed,
    });
  }

  private async finishEpoch(
    phases: readonly LoadedPhase[],
    evaluation: Evaluation | undefined,
  ): Promise<EpochMetrics> {
    const { images, lossSum, hits } = this.sums;
    const validation = evaluation === undefined ? {} : { validation: await this.validate(evaluation) };
    const metrics: EpochMetrics = {
      stage: this.plan.stage,
      phase: this.phaseAt(phases, this.step - 1).name,
      epoch: Math.ceil(this.step / this.stepsPerEpoch),
      step: this.step,
      learningRate: this.rateAt(this.step - 1),
      loss: lossSum / images,
      accuracy: hits / images,
      sparsity: this.state.zeroShare(this.plan.sparse),
      ...validation,
    };
    this.history.push(metrics);
    Object.assign(this.sums, { lossSum: 0, hits: 0, images: 0 });
    return metrics;
  }

  /** Top-1 on the validation images with the present parameters. */
  private async validate(evaluation: Evaluation): Promise<number> {
    const { batch, data } = this.plan;
    const { channels, height, width } = this.split;
    const plan = planEvaluation(this.split, this.validationIndices, {
      batch,
      preprocessing: data.preprocessing,
    });
    let hits = 0;
    for await (const { images, labels, count } of prefetch(plan)) {
      const feeds: Record<string, OrtTensor> = {};
      for (const name of evaluation.inputs.slice(1)) feeds[name] = this.state.tensor(name);
      const [image] = evaluation.inputs;
      if (image !== undefined)
        feeds[image] = new OrtTensor("float32", images, [batch, channels, height, width]);
      const results = await evaluation.session.run(feeds);
      const predicted = results[PREDICTED]?.data as BigInt64Array;
      for (let index = 0; index < count; index++) if (predicted[index] === labels[index]) hits += 1;
    }
    return hits / this.validationIndices.length;
  }
}

function scalar(value: number): OrtTensor {
  return new OrtTensor("float32", Float32Array.of(value), []);
}

/** Digest of what determines the outcome: the plan without places and pace, and the bytes of its networks. */
async function fingerprintOf(plan: TrainingPlan): Promise<string> {
  const {
    network,
    teacher,
    result: _result,
    checkpoint: _checkpoint,
    checkpointSeconds: _seconds,
    ...settings
  } = plan;
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const file of [network, teacher]) if (file !== undefined) hash.update(await readFile(file));
  return hash.digest("hex");
}
