import { holdOut, sampleIndices } from "../../data/hold_out.js";
import type { Graph } from "../../graph/types.js";
import type { CalibrationJournal } from "../calibrate/journal.js";
import { ANALYSIS } from "../calibrate.js";
import { calibrateOnSplit } from "../calibrate_on_images.js";
import { RunCalibrationJournal } from "./calibration_journal.js";
import type { Passage, RunContext } from "./context.js";

/** What the steps of a calibration are called in progress lines. */
const stepNames = { analyse: "analysing", fit: "fitting" } as const;

/** Bases and sparse coefficients from unlabelled images; what became of each layer goes to `calibration.json`. */
export async function calibrateStage(graph: Graph, context: RunContext): Promise<Graph> {
  const { run, dataset, listener, signal, passage } = context;
  const { settings, preprocessing, seed } = run.config;
  const split = await dataset.train();
  const { train } = holdOut(split, settings.validation, seed);
  const indices = sampleIndices(train, settings.calibrationImages, seed);
  const { threads } = settings;
  const calibration = await calibrateOnSplit(
    graph,
    { split, indices, preprocessing, threads },
    {
      // Without a target every coefficient stays, for a later stage to remove.
      fraction: passage.fraction ?? 1,
      basis: settings.basis,
      onProgress: ({ step, done, total, layer, ...work }) =>
        listener.layers?.(stepNames[step], done, total, layer, work),
      ...(signal === undefined ? {} : { signal }),
      journal: forFraction(await RunCalibrationJournal.open(run, run.stagePath("normalize")), passage),
    },
  );
  await run.writeJson(`calibration${passage.suffix}.json`, calibration.layers);
  return calibration.graph;
}

/** Layers are analysed once for all fractions, and fitted anew for each. */
function forFraction(journal: CalibrationJournal, { fraction, suffix }: Passage): CalibrationJournal {
  if (suffix === "") return journal;
  const keyOf = (key: string): string => (key.startsWith(ANALYSIS) ? key : `${key}-at-${fraction}`);
  return {
    read: (key, schema) => journal.read(keyOf(key), schema),
    write: (key, value) => journal.write(keyOf(key), value),
  };
}
