import type { Graph } from "../../graph/types.js";
import type { GradualPruning } from "../../train/gradual_pruning.js";
import type { TrainingPlan } from "../../train/plan.js";
import { type SparseRule, sparseParameters, trainingPhases } from "../phases.js";
import type { RunConfig, Settings } from "./config.js";
import type { RunContext, StageName } from "./context.js";
import { type RunDirectory, TEACHER } from "./directory.js";
import { frozenIn } from "./frozen.js";
import { counts } from "./outcome.js";
import { originalMacs } from "./target.js";

type PlanContext = Pick<RunContext, "run" | "passage">;

/** What is left after channels were removed learns to do without them; undefined if that has no epochs. */
export function recoveryPlan(graph: Graph, context: PlanContext): TrainingPlan | undefined {
  const { channels } = context.run.config.settings;
  if (channels === undefined) return undefined;
  const plan = stagePlan(graph, context, {
    name: "recover",
    from: "channels",
    teacher: originalTeacher(context.run.config),
    settings: channels.training,
    // A network that came with zeros keeps them.
    sparse: { l1: "none", masked: true },
    l1Strength: 0,
  });
  return plan === undefined || channels.loss === undefined ? plan : { ...plan, loss: channels.loss };
}

/**
 * Alternating retraining with L1 on the coefficients (paper, section 3.2), or with gradual pruning; undefined if it has no
 * epochs.
 */
export async function retrainPlan(graph: Graph, context: PlanContext): Promise<TrainingPlan | undefined> {
  const { l1Form, l1, retrain, start } = context.run.config.settings;
  const pruning = await gradualPruning(graph, context.run);
  // A calibrated start is pruned already: its zeros are what it was made for, unless they may come back.
  const sparse: SparseRule = { l1: l1Form, masked: start === "calibrate" && pruning === undefined };
  const plan = stagePlan(graph, context, {
    name: "retrain",
    from: "decompose",
    teacher: teacherStage(context.run.config),
    settings: retrain,
    sparse,
    l1Strength: l1,
  });
  return plan === undefined || pruning === undefined ? plan : { ...plan, pruning };
}

async function gradualPruning(graph: Graph, run: RunDirectory): Promise<GradualPruning | undefined> {
  const { gradual, prune } = run.config.settings;
  if (gradual === undefined || prune.rule !== "macs") return undefined;
  const original = await originalMacs(run);
  return { ...gradual, from: counts(graph).paperMacs / original, to: prune.fraction, originalMacs: original };
}

/** Fine-tuning with the zeros held at zero (paper, section 3.3); undefined if it has no epochs. */
export function fineTunePlan(graph: Graph, context: PlanContext): TrainingPlan | undefined {
  const { fineTune, averaging } = context.run.config.settings;
  const sparse: SparseRule = { l1: "none", masked: true };
  const plan = stagePlan(graph, context, {
    name: "fine-tune",
    from: "prune",
    teacher: teacherStage(context.run.config),
    settings: fineTune,
    sparse,
    l1Strength: 0,
  });
  return plan === undefined || averaging === undefined ? plan : { ...plan, averaging };
}

type TeacherName = StageName | typeof TEACHER;

/** The stage, or the start, whose network is learned from. */
function teacherStage(config: RunConfig): TeacherName {
  return config.settings.channels?.teaches === true ? "recover" : originalTeacher(config);
}

/** The original, or what was given in its place. */
function originalTeacher({ teacher }: RunConfig): TeacherName {
  // Not the original as it came: a fixed batch in its reshapes would not fit the batch of the training.
  return teacher === undefined ? "simplify" : TEACHER;
}

interface StageRequest {
  readonly name: StageName;
  /** The stage whose result is trained. */
  readonly from: StageName;
  readonly teacher: TeacherName;
  readonly settings: Settings["retrain"];
  readonly sparse: SparseRule;
  readonly l1Strength: number;
}

function stagePlan(
  graph: Graph,
  { run, passage }: PlanContext,
  request: StageRequest,
): TrainingPlan | undefined {
  if (request.settings.epochs === 0) return undefined;
  const { config } = run;
  const { settings } = config;
  const { phases: mode, epochs, phaseEpochs, schedule } = request.settings;
  const { frozen } = frozenIn(graph, config);
  const { scaleBasisRate } = settings;
  const name = `${request.name}${passage.suffix}`;
  return {
    stage: name,
    network: run.stagePath(`${request.from}${passage.suffix}`),
    teacher: run.stagePath(request.teacher),
    result: run.path("checkpoints", `${name}.onnx`),
    checkpoint: run.checkpointPath(name),
    data: {
      spec: config.data,
      ...(config.classes === undefined ? {} : { classes: config.classes }),
      preprocessing: config.preprocessing,
      augmentation: settings.augmentation,
      validation: settings.validation,
      ...(settings.trainLimit === undefined ? {} : { trainLimit: settings.trainLimit }),
    },
    seed: config.seed,
    batch: settings.batch,
    epochs,
    phases: trainingPhases(graph, { mode, sparse: request.sparse, scaleBasisRate, frozen }),
    phaseEpochs,
    schedule,
    l1Strength: request.l1Strength,
    optimizer: settings.optimizer,
    loss: settings.loss,
    ...(config.reference === undefined ? {} : { reference: config.reference }),
    batchNormalization: settings.batchNormalization === "frozen" ? "frozen" : "batch",
    sparse: sparseParameters(graph).filter((name) => !frozen.has(name)),
    ...(settings.shrinkWhileTraining === "off" ? {} : { shrinking: settings.shrinkWhileTraining }),
    threads: settings.threads,
    device: settings.device,
    checkpointSeconds: settings.checkpointSeconds,
  };
}
