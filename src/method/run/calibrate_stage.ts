import { holdOut, sampleIndices } from "../../data/hold_out.js";
import type { Graph } from "../../graph/types.js";
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
      fraction: targetFraction(settings),
      basis: settings.basis,
      onProgress: ({ step, done, total, layer, ...work }) =>
        listener.layers?.(stepNames[step], done, total, layer, work),
      ...(signal === undefined ? {} : { signal }),
      journal: await RunCalibrationJournal.open(run, run.stagePath("normalize")),
    },
  );
  await run.writeJson("calibration.json", calibration.layers);
  return calibration.graph;
}

/** Without a target every coefficient stays, for a later stage to remove. */
function targetFraction({ prune }: Settings): number {
  return prune.rule === "macs" ? prune.fraction : 1;
}
