import type { Graph } from "../../graph/types.js";
import { askedCriterion } from "../../method/goal/criterion.js";
import { type SparseRule, sparseParameters, trainingPhases } from "../../method/phases.js";
import type { GradualPruning } from "../../train/gradual_pruning.js";
import type { TrainingPlan } from "../../train/plan.js";
import type { Settings } from "../config.js";
import { frozenIn } from "../frozen.js";
import { counts } from "../outcome.js";
import { recordedTraining } from "../recorded_training.js";
import { leftOut } from "./left_out.js";
import { defineStage, type StageContext } from "./stage.js";

/** What is left after channels were removed learns to do without them. */
export const recover = defineStage({
  takes: ["narrow", "teacher"],
  gives: ({ settings }) => ["whole", ...(settings.channels?.teaches === true ? (["teacher"] as const) : [])],
  ends: ["narrow"],
  isLeftOut: leftOut.recover,
  apply: (graph, context) => trained(recoveryPlan(graph, context), graph, context),
});

/** Alternating retraining with L1 on the coefficients (paper, section 3.2), or with gradual pruning. */
export const retrain = defineStage({
  takes: ["decomposed", "teacher", "normalized"],
  gives: () => [],
  // Coefficients may come back that went before.
  ends: ["pruned", "trained"],
  apply: async (graph, context) => trained(await retrainPlan(graph, context), graph, context),
});

/** Fine-tuning with the zeros held at zero (paper, section 3.3). */
export const fineTune = defineStage({
  takes: ["pruned", "teacher"],
  gives: () => ["trained"],
  apply: (graph, context) => trained(fineTunePlan(graph, context), graph, context),
});

/** The network after a training; as it is where there is none. */
function trained(
  plan: TrainingPlan | undefined,
  graph: Graph,
  context: StageContext<"teacher">,
): Promise<Graph> | Graph {
  return plan === undefined ? graph : recordedTraining(plan, context);
}

/** Undefined if recovery has no epochs. */
function recoveryPlan(graph: Graph, context: StageContext<"teacher">): TrainingPlan | undefined {
  const { channels } = context.run.config.settings;
  if (channels === undefined) return undefined;
  const plan = stagePlan(graph, context, {
    settings: channels.training,
    // A network that came with zeros keeps them.
    sparse: { l1: "none", masked: true },
    l1Strength: 0,
  });
  return plan === undefined || channels.loss === undefined ? plan : { ...plan, loss: channels.loss };
}

/** Undefined if retraining has no epochs. */
async function retrainPlan(
  graph: Graph,
  context: StageContext<"teacher" | "normalized">,
): Promise<TrainingPlan | undefined> {
  const { l1Form, l1, retrain, start } = context.run.config.settings;
  const pruning = await gradualPruning(graph, context);
  // A calibrated start is pruned already: its zeros are what it was made for, unless they may come back.
  const sparse: SparseRule = { l1: l1Form, masked: start === "calibrate" && pruning === undefined };
  const plan = stagePlan(graph, context, { settings: retrain, sparse, l1Strength: l1 });
  return plan === undefined || pruning === undefined ? plan : { ...plan, pruning };
}

async function gradualPruning(
  graph: Graph,
  { run, networks }: StageContext<"normalized">,
): Promise<GradualPruning | undefined> {
  const { gradual, prune } = run.config.settings;
  const to = askedCriterion(prune)?.fraction;
  if (gradual === undefined || to === undefined) return undefined;
  const originalMacs = counts(await networks.read("normalized")).paperMacs;
  return { ...gradual, from: counts(graph).paperMacs / originalMacs, to, originalMacs };
}

/** Undefined if fine-tuning has no epochs. */
function fineTunePlan(graph: Graph, context: StageContext<"teacher">): TrainingPlan | undefined {
  const { fineTune, averaging, prune } = context.run.config.settings;
  const sparse: SparseRule = { l1: "none", masked: true };
  const plan = stagePlan(graph, context, { settings: fineTune, sparse, l1Strength: 0 });
  if (plan === undefined) return undefined;
  const { shrinking, ...unshrunk } = plan;
  const fixesPlaces = askedCriterion(prune)?.fixesPlaces === true;
  return {
    ...unshrunk,
    ...(shrinking === undefined || fixesPlaces ? {} : { shrinking }),
    ...(averaging === undefined ? {} : { averaging }),
  };
}

/** The loss of training, on images as they are, for who asks for its gradients and changes nothing. */
export function stillPlan(graph: Graph, context: StageContext<"teacher">): TrainingPlan {
  const { fineTune } = context.run.config.settings;
  const {
    data,
    shrinking: _,
    ...plan
  } = planOf(graph, context, {
    settings: fineTune,
    sparse: { l1: "none", masked: false },
    l1Strength: 0,
  });
  return { ...plan, data: { ...data, augmentation: { padding: 0, flip: false } } };
}

interface StageRequest {
  readonly settings: Settings["retrain"];
  readonly sparse: SparseRule;
  readonly l1Strength: number;
}

/** The training of the network that the stage is applied to. */
function stagePlan(
  graph: Graph,
  context: StageContext<"teacher">,
  request: StageRequest,
): TrainingPlan | undefined {
  return request.settings.epochs === 0 ? undefined : planOf(graph, context, request);
}

function planOf(
  graph: Graph,
  { run, name, file, networks }: StageContext<"teacher">,
  request: StageRequest,
): TrainingPlan {
  const { config } = run;
  const { settings } = config;
  const { phases: mode, epochs, phaseEpochs, schedule } = request.settings;
  const { frozen } = frozenIn(graph, config);
  const { scaleBasisRate } = settings;
  return {
    stage: name,
    network: file,
    teacher: networks.file("teacher"),
    result: run.path("checkpoints", `${name}.onnx`),
    checkpoint: run.checkpointPath(name),
    data: {
      spec: config.data,
      ...(config.classes === undefined ? {} : { classes: config.classes }),
      ...(config.images === undefined ? {} : { images: config.images }),
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
    sparse: sparseParameters(graph).filter((parameter) => !frozen.has(parameter)),
    ...(settings.shrinkWhileTraining === "off" ? {} : { shrinking: settings.shrinkWhileTraining }),
    threads: settings.threads,
    device: settings.device,
    checkpointSeconds: settings.checkpointSeconds,
  };
}
