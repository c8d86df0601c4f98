import { holdOut, sampleIndices } from "../../data/hold_out.js";
import { orDefault } from "../../graph/at.js";
import type { Graph } from "../../graph/types.js";
import type { CalibrationJournal } from "../../method/calibrate/journal.js";
import { ANALYSIS } from "../../method/calibrate.js";
import { calibrateOnSplit } from "../../method/calibrate_on_images.js";
import { RunCalibrationJournal } from "../calibration_journal.js";
import type { Passage } from "../context.js";
import { counts } from "../outcome.js";
import type { StageContext } from "./stage.js";

/** What the steps of a calibration are called in progress lines. */
const stepNames = { analyse: "analysing", fit: "fitting" } as const;

/** Bases and sparse coefficients from unlabelled images; what became of each layer goes to `calibration.json`. */
export async function calibrateStage(graph: Graph, context: StageContext<"normalized">): Promise<Graph> {
  const { run, dataset, listener, signal, passage, file } = context;
  const { settings, preprocessing, seed } = run.config;
  const split = await dataset.train();
  const { train } = holdOut(split, settings.validation, seed);
  const indices = sampleIndices(train, settings.calibrationImages, seed);
  const { threads } = settings;
  const calibration = await calibrateOnSplit(
    graph,
    { split, indices, preprocessing, threads },
    {
      // Where the rule says no fraction, every coefficient stays for it to remove: see `Criterion.fraction`.
      fraction: Math.min(1, orDefault(passage.fraction, 1) * (await originalShare(graph, context))),
      basis: settings.basis,
      onProgress: ({ step, done, total, layer, ...work }) =>
        listener.layers?.(stepNames[step], done, total, layer, work),
      ...(signal === undefined ? {} : { signal }),
      journal: forFraction(await RunCalibrationJournal.open(run, file), passage),
    },
  );
  await run.writeJson(`calibration${passage.suffix}.json`, calibration.layers);
  return calibration.graph;
}

/** How many times the network's multiply-accumulates (paper count) the original had, which the target is a fraction of. */
async function originalShare(graph: Graph, { run, networks }: StageContext<"normalized">): Promise<number> {
  if (run.config.settings.channels === undefined) return 1;
  return counts(await networks.read("normalized")).paperMacs / counts(graph).paperMacs;
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
