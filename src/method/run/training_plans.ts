import type { Graph } from "../../graph/types.js";
import type { TrainingPlan } from "../../train/plan.js";
import { type SparseRule, sparseParameters, trainingPhases } from "../phases.js";
import type { Settings } from "./config.js";
import type { RunContext } from "./context.js";
import { frozenIn } from "./frozen.js";

type PlanContext = Pick<RunContext, "run" | "passage">;

/** Alternating retraining with L1 on the coefficients (paper, section 3.2); undefined if it has no epochs. */
export function retrainPlan(graph: Graph, context: PlanContext): TrainingPlan | undefined {
  const { l1Form, l1, retrain, start } = context.run.config.settings;
  // A calibrated start is pruned already: its zeros are what it was made for.
  const sparse: SparseRule = { l1: l1Form, masked: start === "calibrate" };
  return stagePlan(graph, context, {
    name: "retrain",
    from: "decompose",
    settings: retrain,
    sparse,
    l1Strength: l1,
  });
}

/** Fine-tuning with the zeros held at zero (paper, section 3.3); undefined if it has no epochs. */
export function fineTunePlan(graph: Graph, context: PlanContext): TrainingPlan | undefined {
  const { fineTune } = context.run.config.settings;
  const sparse: SparseRule = { l1: "none", masked: true };
  return stagePlan(graph, context, {
    name: "fine-tune",
    from: "prune",
    settings: fineTune,
    sparse,
    l1Strength: 0,
  });
}

interface StageRequest {
  readonly name: string;
  /** The stage whose result is trained. */
  readonly from: string;
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
    // Not the original: a fixed batch in its reshapes would not fit the batch of the training.
    teacher: run.stagePath("simplify"),
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
