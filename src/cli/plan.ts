import { PenniError } from "../graph/errors.js";
import { naming } from "../graph/naming.js";
import type { Graph } from "../graph/types.js";
import type { Settings } from "../run/config.js";
import type { RunPlan } from "../run/plan.js";
import { openModel } from "./model_and_images.js";
import type { InputShapes } from "./options.js";

/**
 * The plan of a run on a model's file.
 * @throws PenniError "bad-option" without a model; errors name the file
 */
export async function planModel(
  model: string | undefined,
  settings: Settings,
  shapes: InputShapes = new Map(),
  dequantize = false,
): Promise<RunPlan> {
  if (model === undefined) {
    throw new PenniError("bad-option", "there is no model to plan for", {
      expected: "penni compress MODEL --plan, or penni compress --resume DIR --plan",
    });
  }
  return planFile(model, settings, shapes, dequantize);
}

/** The plan of a run that was started, on its original network. */
export async function planRunDirectory(root: string): Promise<RunPlan> {
  const { RunDirectory } = await import("../run/directory.js");
  const run = await RunDirectory.open(root);
  return planFile(run.stagePath("original"), run.config.settings, new Map(), false);
}

async function planFile(
  file: string,
  settings: Settings,
  shapes: InputShapes,
  dequantize: boolean,
): Promise<RunPlan> {
  const [graph, { importForCompression }, { dequantizedNetwork }] = await Promise.all([
    openModel(file, shapes),
    import("../method/import_for_compression.js"),
    import("../method/dequantized.js"),
  ]);
  return naming(file, async () => {
    const network = dequantize ? dequantizedNetwork(graph).graph : graph;
    return planNetwork(network, importForCompression(network), settings);
  });
}

async function planNetwork(file: Graph, network: Graph, settings: Settings): Promise<RunPlan> {
  const [{ planRun }, { planGoal }, { writtenBytes }, { isGoal }] = await Promise.all([
    import("../run/plan.js"),
    import("../run/goal_check.js"),
    import("../method/goal/cost.js"),
    import("../method/goal/rules.js"),
  ]);
  const { prune } = settings;
  if (!isGoal(prune)) return planRun(network, { ...settings, prune });
  const given = { file: { graph: file, bytes: writtenBytes(file) }, network, frozen: new Set<string>() };
  const goal = await planGoal(prune, given, settings);
  const plan = planRun(network, { ...settings, prune: { rule: "macs", fraction: goal.fraction } });
  return { ...plan, goal };
}
