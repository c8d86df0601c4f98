import { holdOut, sampleIndices } from "../../data/hold_out.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { countGraph } from "../../measure/count.js";
import { readModel } from "../../onnx/files.js";
import { calibrateOnSplit } from "../calibrate_on_images.js";
import { RunCalibrationJournal } from "./calibration_journal.js";
import type { Settings } from "./config.js";
import type { RunContext } from "./context.js";

/** What the steps of a calibration are called in progress lines. */
const stepNames = { analyse: "analysing", fit: "fitting" } as const;

/** Bases and sparse coefficients from unlabelled images; what became of each layer goes to `calibration.json`. */
export async function calibrateStage(graph: Graph, context: RunContext): Promise<Graph> {
  const { run, dataset, listener, signal } = context;
  const { settings, preprocessing, seed } = run.config;
  const split = await dataset.train();
  const { train } = holdOut(split, settings.validation, seed);
  const indices = sampleIndices(train, settings.calibrationImages, seed);
  const { threads } = settings;
  const calibration = await calibrateOnSplit(
    graph,
    { split, indices, preprocessing, threads },
    {
      fraction: Math.min(1, targetFraction(settings) * (await originalShare(graph, context))),
      basis: settings.basis,
      onProgress: ({ step, done, total, layer, ...work }) =>
        listener.layers?.(stepNames[step], done, total, layer, work),
      ...(signal === undefined ? {} : { signal }),
      journal: await RunCalibrationJournal.open(
        run,
        run.stagePath(settings.channels === undefined ? "normalize" : "recover"),
      ),
    },
  );
  await run.writeJson("calibration.json", calibration.layers);
  return calibration.graph;
}

/** How many times the network's multiply-accumulates (paper count) the original had, which the target is a fraction of. */
async function originalShare(graph: Graph, { run }: RunContext): Promise<number> {
  if (run.config.settings.channels === undefined) return 1;
  const original = await readModel(run.stagePath("normalize"));
  return countGraph(fixBatch(original, 1)).paperMacs / countGraph(fixBatch(graph, 1)).paperMacs;
}

/** Without a target every coefficient stays, for a later stage to remove. */
function targetFraction({ prune }: Settings): number {
  return prune.rule === "macs" ? prune.fraction : 1;
}
