/**
 * Compression from unlabelled images without training (`calibrate`) against plain SVD with magnitude pruning at the same
 * budgets: accuracy of both on the whole test set over a curve of budgets, and the time of each calibration.
 *
 *   node dist/bench/calibrate.js [--model FILE | --network resnet18] [--images 512] [--fractions 0.7,0.58,...]
 *       [--basis 5] [--json] [--report FILE.html]
 *
 * `--network` takes an untrained network of `bench/networks.ts`: then only times and the outputs' errors mean something.
 */
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { numberList, wholeNumber } from "../src/cli/options.js";
import { readModel } from "../src/files/model_files.js";
import { withInitializers } from "../src/graph/edit.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { countGraph } from "../src/measure/count.js";
import { analyseLayers, calibrateTo } from "../src/method/calibrate.js";
import { decompose } from "../src/method/decompose.js";
import { pruneToMacs } from "../src/method/prune.js";
import { plot } from "../src/report/plot.js";
import { reportPage } from "../src/report/shell.js";
import { html } from "../src/text/destinations.js";
import { benchmarkNetworks, type NetworkName } from "../support/benchmark_networks.js";
import { sharedPath } from "../support/shared.js";
import { judged, openCalibration } from "./calibration.js";
import { runBenchmark } from "./command.js";

interface Options {
  readonly model: string;
  readonly network?: NetworkName;
  readonly data: string;
  readonly images: number;
  readonly fractions: readonly number[];
  readonly basis?: number;
  readonly threads: number;
  readonly seed: number;
  readonly report?: string;
  readonly json?: boolean;
}

interface Row {
  /** Multiply-accumulates (paper count) as a fraction of the original's: asked, and of either result. */
  readonly fraction: number;
  readonly calibrated: { readonly macs: number; readonly top1: number; readonly seconds: number };
  /** Absent where the budget is out of its reach. */
  readonly svd?: { readonly macs: number; readonly top1: number };
}

interface Result {
  readonly original: number;
  readonly analysisSeconds: number;
  readonly peakMiB: number;
  readonly rows: readonly Row[];
}

async function measure(options: Options): Promise<Result> {
  const bench = await openCalibration(await networkOf(options), options);
  const { graph, runtime } = bench;
  const settings = { basis: options.basis ?? "auto" } as const;
  try {
    const started = performance.now();
    const analysis = await analyseLayers(graph, runtime, settings);
    const analysisSeconds = secondsSince(started);
    const rows: Row[] = [];
    for (const fraction of options.fractions) {
      const start = performance.now();
      const { graph: calibrated } = await calibrateTo(fraction, graph, analysis, runtime, settings);
      const seconds = secondsSince(start);
      const svd = svdWithMagnitudes(graph, fraction, options.basis ?? 5);
      rows.push({
        fraction,
        calibrated: { ...(await judged(bench, calibrated)), seconds },
        ...(svd === undefined ? {} : { svd: await judged(bench, svd) }),
      });
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
    }
    const { top1 } = await judged(bench, graph);
    const peakMiB = process.resourceUsage().maxRSS / 1024;
    return { original: top1, analysisSeconds, peakMiB, rows };
  } finally {
    await runtime.release();
  }
}

function networkOf({ model, network }: Options): Promise<Graph> | Graph {
  return network === undefined ? readModel(model) : benchmarkNetworks[network].build();
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000;

/** Rank-d kernels, the smallest coefficients removed; undefined where removing all is not enough. */
function svdWithMagnitudes(graph: Graph, fraction: number, basis: number): Graph | undefined {
  const decomposed = decompose(graph, { basis });
  try {
    const originalMacs = countGraph(fixBatch(graph, 1)).paperMacs;
    const { graph: pruned } = pruneToMacs(fixBatch(decomposed, 1), { fraction, originalMacs });
    return withInitializers(decomposed, [...pruned.initializers]);
  } catch {
    return undefined;
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

function describe({ original, analysisSeconds, peakMiB, rows }: Result): string {
  const lines = rows.map(({ fraction, calibrated, svd }) =>
    [
      percent(fraction),
      percent(calibrated.macs),
      percent(calibrated.top1),
      `${(100 * (calibrated.top1 - original)).toFixed(2)}`,
      svd === undefined ? "-" : percent(svd.top1),
      `${calibrated.seconds.toFixed(1)} s`,
    ].join("\t"),
  );
  return [
    `original ${percent(original)}; analysis ${analysisSeconds.toFixed(1)} s (once); peak ${peakMiB.toFixed(0)} MiB`,
    "asked\tMACs\tcalibrated\tpoints\tSVD + magnitudes\tfitting",
    ...lines,
  ].join("\n");
}

function curves({ original, rows }: Result, title: string): string {
  const reduction = (macs: number): number => 100 * (1 - macs);
  const chart = plot({
    title: "Top-1 on the test set against multiply-accumulates removed (paper count)",
    xLabel: "multiply-accumulates removed, %",
    yLabel: "top-1, %",
    series: [
      {
        name: "calibrated",
        points: rows.map(({ calibrated: { macs, top1 } }) => ({ x: reduction(macs), y: 100 * top1 })),
      },
      {
        name: "SVD + magnitudes",
        points: rows.flatMap(({ svd }) =>
          svd === undefined ? [] : [{ x: reduction(svd.macs), y: 100 * svd.top1 }],
        ),
      },
      { name: "original", points: [0, 80].map((removed) => ({ x: removed, y: 100 * original })) },
    ],
  });
  const section = { id: "curves", title: "No labels, no training", body: chart };
  return reportPage({ title, eyebrow: [html`<span>Benchmark</span>`], sections: [section] });
}

const program = new Command("bench:calibrate")
  .option("--model <file>", "an .onnx file", sharedPath("models/resnet20.onnx"))
  .option("--network <name>", "an untrained network of bench/networks.ts in its place")
  .option("--data <spec>", "the images", `cifar10:${sharedPath("data/cifar10")}`)
  .option("--images <n>", "calibration images", wholeNumber(1), 512)
  .option("--fractions <list>", "budgets", numberList, [0.7, 0.58, 0.5, 0.46, 0.4, 0.3, 0.2])
  .option(
    "--basis <d>",
    "one number of basis kernels (default: chosen for each layer; SVD: 5)",
    wholeNumber(1),
  )
  .option("--threads <n>", "threads of the runtime", wholeNumber(1), availableParallelism())
  .option("--seed <n>", "seed of the choice of images", wholeNumber(0), 0)
  .option("--report <file>", "write the curves as an HTML page")
  .option("--json", "print JSON")
  .action(async (options: Options) => {
    const result = await measure(options);
    if (options.report !== undefined) {
      await writeFile(
        options.report,
        curves(result, `Calibrated compression of ${options.network ?? options.model}`),
      );
    }
    process.stdout.write(`${options.json === true ? JSON.stringify(result) : describe(result)}\n`);
  });

await runBenchmark(program);
