/**
 * Where the time of a calibration goes, for networks of photos' size with random weights, on synthetic photos:
 * wall and processor time of analysis and fitting, what the bar said of the whole time on the way, and the error of the
 * outputs on photos that calibration has not seen.
 *
 *   node dist/bench/calibration-time.js [--network mobilenet_v2] [--images 200] [--fraction 0.6] [--threads 2]
 */
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { wholeNumber } from "../src/cli/options.js";
import { openDataset } from "../src/data/index.js";
import { imagenetPreprocessing } from "../src/data/preprocessing.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { NodeCalibration } from "../src/measure/calibration.js";
import { countGraph } from "../src/measure/count.js";
import { OutputComparison } from "../src/measure/output_comparison.js";
import { outputDeviations } from "../src/measure/output_deviation.js";
import { type Pair, runPair } from "../src/measure/pair.js";
import type { MeasuredImages } from "../src/measure/run_on_images.js";
import { analyseLayers, type CalibrationProgress, calibrateTo } from "../src/method/calibrate.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { runBenchmark } from "./command.js";
import { isPhotoNetwork, photoNetworks } from "./photo_networks.js";

type MeasuredPair = Pair & MeasuredImages;

interface Options {
  readonly network: string;
  readonly images: number;
  readonly fraction: number;
  readonly threads: number;
}

/** Photos that calibration does not see. */
const JUDGED = 32;

class Clock {
  private wall = performance.now();
  private cpu = process.cpuUsage();

  lap(): { readonly wall: number; readonly cpu: number } {
    const used = process.cpuUsage(this.cpu);
    const lap = { wall: (performance.now() - this.wall) / 1000, cpu: (used.user + used.system) / 1e6 };
    this.wall = performance.now();
    this.cpu = process.cpuUsage();
    return lap;
  }
}

/** What the bar says, and how long everything takes in the end. */
class BarRecord {
  private readonly started = performance.now();
  private readonly said: { readonly at: number; readonly whole: number; readonly share: number }[] = [];

  readonly onProgress = ({ share, secondsLeft }: CalibrationProgress): void => {
    const at = (performance.now() - this.started) / 1000;
    if (secondsLeft !== undefined) this.said.push({ at, whole: at + secondsLeft, share });
  };

  describe(): string {
    const end = (performance.now() - this.started) / 1000;
    const lines = [0.1, 0.25, 0.5, 0.75, 0.9].flatMap((part) => {
      const line = this.said.find(({ at }) => at >= part * end);
      if (line === undefined) return [];
      return [`${(100 * line.share).toFixed(0)} % and ${line.whole.toFixed(0)} s at ${line.at.toFixed(0)} s`];
    });
    return `the bar of ${end.toFixed(0)} s said: ${lines.join("; ")}\n`;
  }
}

async function measure({ network, images, fraction, threads }: Options): Promise<void> {
  if (!isPhotoNetwork(network)) throw new Error(`networks: ${Object.keys(photoNetworks).join(", ")}`);
  const { side, build } = photoNetworks[network];
  const graph = simplify(build());
  const imageSize = { width: side, height: side };
  const dataset = await openDataset(`synthetic:${images + JUDGED}`, { imageSize });
  const split = await dataset.train();
  const preprocessing = imagenetPreprocessing;
  const all = Uint32Array.from({ length: split.count }, (_, index) => index);
  const clock = new Clock();
  const say = (what: string): void => {
    const { wall, cpu } = clock.lap();
    process.stdout.write(`${what.padEnd(10)} ${wall.toFixed(1)} s wall, ${cpu.toFixed(1)} s processor\n`);
  };
  const runtime = await NodeCalibration.open(graph, {
    split,
    indices: all.subarray(0, images),
    preprocessing,
    threads,
  });
  try {
    say("open");
    const bar = new BarRecord();
    const settings = { basis: "auto", onProgress: bar.onProgress } as const;
    const analysis = await analyseLayers(graph, runtime, settings);
    say("analysis");
    const { graph: result } = await calibrateTo(fraction, graph, analysis, runtime, settings);
    say("fitting");
    process.stdout.write(bar.describe());
    const judgedOn = all.subarray(images, images + JUDGED);
    const pair = { first: graph, second: result, split, preprocessing, indices: judgedOn, threads };
    const macs = countGraph(fixBatch(result, 1)).paperMacs / countGraph(fixBatch(graph, 1)).paperMacs;
    const error = await outputError(graph, pair);
    const peak = process.resourceUsage().maxRSS / 1024;
    process.stdout.write(
      `${(100 * macs).toFixed(2)} % of the MACs, outputs' error ${(100 * error).toFixed(2)} %, peak ${peak.toFixed(0)} MiB\n`,
    );
  } finally {
    await runtime.release();
  }
}

/** The mean error of the outputs. */
async function outputError(graph: Graph, pair: MeasuredPair): Promise<number> {
  const names = graph.outputs.map(({ name }) => name);
  const deviations = await outputDeviations(graph, names, pair);
  const comparison = new OutputComparison(
    [...deviations].map(([output, found]) => ({
      output,
      deviation: "deviation" in found ? found.deviation : Number.NaN,
    })),
  );
  for await (const batch of runPair(pair, names)) comparison.add(batch);
  const errors = comparison.results.map(({ error }) => error ?? Number.NaN);
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

const program = new Command("bench:calibration-time")
  .option("--network <name>", Object.keys(photoNetworks).join(", "), "mobilenet_v2")
  .option("--images <n>", "calibration images", wholeNumber(1), 200)
  .option("--fraction <f>", "share of the multiply-accumulates to reach", Number, 0.6)
  .option("--threads <n>", "threads of the runtime", wholeNumber(1), availableParallelism())
  .action(measure);

await runBenchmark(program);
