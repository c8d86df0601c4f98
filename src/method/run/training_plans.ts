import type { Graph } from "../../graph/types.js";
import type { UpdateRule } from "../../train/optimizer.js";
import type { Phase, TrainingPlan } from "../../train/plan.js";
import { basisRates, type ParameterRole, trainableParameters } from "../parameters.js";
import type { Settings } from "./config.js";
import type { RunDirectory } from "./directory.js";

/** How the two training stages treat parameters of each role. */
type RoleRules = Readonly<Record<ParameterRole, Omit<UpdateRule, "rate">>>;

const plain = { l1: "none", masked: false } as const;
const masked = { l1: "none", masked: true } as const;

/** Which roles each phase trains; everything that is neither coefficient nor basis trains in all of them. */
const phaseRoles: Readonly<
  Record<Settings["retrain"]["phases"], Readonly<Record<string, readonly ParameterRole[]>>>
> = {
  alternating: {
    coefficients: ["coefficients", "pointwise", "other"],
    bases: ["basis", "other"],
  },
  joint: { joint: ["coefficients", "pointwise", "basis", "other"] },
};

/** Alternating retraining with L1 on the coefficients (paper, section 3.2); undefined if it has no epochs. */
export function retrainPlan(graph: Graph, run: RunDirectory): TrainingPlan | undefined {
  const { l1Form, l1, retrain } = run.config.settings;
  const sparse = { l1: l1Form, masked: false } as const;
  const rules: RoleRules = { coefficients: sparse, pointwise: sparse, basis: plain, other: plain };
  return stagePlan(graph, run, {
    name: "retrain",
    from: "decompose",
    settings: retrain,
    rules,
    l1Strength: l1,
  });
}

/** Fine-tuning with the zeros held at zero (paper, section 3.3); undefined if it has no epochs. */
export function fineTunePlan(graph: Graph, run: RunDirectory): TrainingPlan | undefined {
  const rules: RoleRules = { coefficients: masked, pointwise: masked, basis: plain, other: plain };
  const { fineTune } = run.config.settings;
  return stagePlan(graph, run, {
    name: "fine-tune",
    from: "prune",
    settings: fineTune,
    rules,
    l1Strength: 0,
  });
}

interface StageRequest {
  readonly name: string;
  /** The stage whose result is trained. */
  readonly from: string;
  readonly settings: Settings["retrain"];
  readonly rules: RoleRules;
  readonly l1Strength: number;
}

function stagePlan(graph: Graph, run: RunDirectory, request: StageRequest): TrainingPlan | undefined {
  if (request.settings.epochs === 0) return undefined;
  const { config } = run;
  const { settings } = config;
  const roles = trainableParameters(graph);
  const sparse = [...roles].filter(([, role]) => role === "coefficients" || role === "pointwise");
  return {
    stage: request.name,
    network: run.stagePath(request.from),
    teacher: run.stagePath("original"),
    result: run.path("checkpoints", `${request.name}.onnx`),
    checkpoint: run.checkpointPath(request.name),
    data: {
      spec: config.data,
      preprocessing: config.preprocessing,
      augmentation: settings.augmentation,
      validation: settings.validation,
      ...(settings.trainLimit === undefined ? {} : { trainLimit: settings.trainLimit }),
    },
    seed: config.seed,
    batch: settings.batch,
    epochs: request.settings.epochs,
    phases: phasesOf(roles, request, settings.scaleBasisRate ? basisRates(graph) : new Map()),
    phaseEpochs: request.settings.phaseEpochs,
    schedule: request.settings.schedule,
    l1Strength: request.l1Strength,
    optimizer: settings.optimizer,
    loss: settings.loss,
    batchNormalization: settings.batchNormalization === "frozen" ? "frozen" : "batch",
    sparse: sparse.map(([name]) => name),
    threads: settings.threads,
    checkpointSeconds: settings.checkpointSeconds,
  };
}

/** The phases of a stage; one that would train nothing of its own is left out. */
function phasesOf(
  roles: ReadonlyMap<string, ParameterRole>,
  { settings, rules }: StageRequest,
  rates: ReadonlyMap<string, number>,
): Phase[] {
  const phases = Object.entries(phaseRoles[settings.phases]).map(([name, included]) => ({
    name,
    trained: Object.fromEntries(
      [...roles]
        .filter(([, role]) => included.includes(role))
        .map(([parameter, role]) => [parameter, { ...rules[role], rate: rates.get(parameter) ?? 1 }]),
    ),
  }));
  const hasBases = [...roles.values()].includes("basis");
  return hasBases ? phases : phases.slice(0, 1);
}
