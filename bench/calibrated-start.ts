/**
 * A calibrated start with a given share of zero coefficients (spent where they matter, whatever they cost), then
 * masked fine-tuning with distillation: accuracy of both on the whole test set.
 *
 *   node dist/bench/calibrated-start.js [--model FILE] [--basis 5] [--zeros 0.75] [--epochs 4]
 */
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { numberBetween, wholeNumber } from "../src/cli/options.js";
import { readModel } from "../src/files/model_files.js";
import { countNonZeros, float32Data } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { analyseLayers, type CalibrationAnalysis, calibrateTo } from "../src/method/calibrate.js";
import { sparseParameters } from "../src/method/phases.js";
import { train } from "../src/run/train.js";
import { sharedPath } from "../support/shared.js";
import { type CalibrationBench, judged, openCalibration } from "./calibration.js";
import { runBenchmark } from "./command.js";

interface Options {
  readonly model: string;
  readonly data: string;
  readonly images: number;
  readonly basis: number;
  readonly zeros: number;
  readonly epochs: number;
  readonly threads: number;
  readonly seed: number;
}

/** The analysis with a coefficient as the unit of all costs, so that a budget is a number of coefficients. */
function countingCoefficients({ layers, meter }: CalibrationAnalysis): CalibrationAnalysis {
  const counted = layers.map((analysed) => {
    const unlimited = { fixedMacs: 0, macsPerCoefficient: 1, most: Number.POSITIVE_INFINITY };
    const options = analysed.options.map((option) => ({ ...option, ...unlimited }));
    const coefficients = options[0]?.rows.reduce((sum, { added }) => sum + added.length, 0) ?? 0;
    return { ...analysed, options, present: { ...analysed.present, macs: coefficients } };
  });
  return { layers: counted, otherMacs: 0, meter };
}

async function calibratedTo(
  zeros: number,
  basis: number,
  { graph, runtime }: CalibrationBench,
): Promise<Graph> {
  try {
    const analysis = countingCoefficients(await analyseLayers(graph, runtime, { basis }));
    return (await calibrateTo(1 - zeros, graph, analysis, runtime, { basis })).graph;
  } finally {
    await runtime.release();
  }
}

async function measure(options: Options): Promise<readonly string[]> {
  const { basis, zeros, epochs, threads, seed } = options;
  const bench = await openCalibration(await readModel(options.model), options);
  const { graph, preprocessing } = bench;
  const describe = async (network: Graph): Promise<string> => {
    const { top1, macs } = await judged(bench, network);
    const shares = [top1, macs, zeroShare(network)].map((share) => `${(100 * share).toFixed(2)} %`);
    return `top-1 ${shares[0]}, MACs (paper) ${shares[1]}, zeros ${shares[2]}`;
  };
  const start = await calibratedTo(zeros, basis, bench);
  const before = await describe(start);
  process.stderr.write(`calibrated: ${before}\n`);
  const trained = await train(start, {
    data: options.data,
    teacher: graph,
    epochs,
    schedule: { kind: "cosine", initial: 0.02 },
    phases: "joint",
    holdZeros: true,
    preprocessing,
    threads,
    seed,
    listener: {
      epoch: ({ epoch, loss }) => process.stderr.write(`epoch ${epoch}: loss ${loss.toFixed(4)}\n`),
    },
  });
  return [`calibrated: ${before}`, `fine-tuned for ${epochs} epochs: ${await describe(trained)}`];
}

/** Share of zeros among the coefficients, and among the weights of convolutions without a basis. */
function zeroShare(network: Graph): number {
  const values = sparseParameters(network).flatMap((name) => {
    const tensor = network.initializers.get(name);
    return tensor === undefined ? [] : [float32Data(tensor)];
  });
  const sum = (of: (data: Float32Array) => number): number =>
    values.reduce((total, data) => total + of(data), 0);
  return 1 - sum(countNonZeros) / sum((data) => data.length);
}

const program = new Command("bench:calibrated-start")
  .option("--model <file>", "a trained .onnx file", sharedPath("models/resnet20.onnx"))
  .option("--data <spec>", "the images", `cifar10:${sharedPath("data/cifar10")}`)
  .option("--images <n>", "calibration images", wholeNumber(1), 512)
  .option("--basis <d>", "basis kernels of each layer", wholeNumber(1), 5)
  .option("--zeros <f>", "share of the coefficients that becomes zero", numberBetween(0, 1), 0.75)
  .option("--epochs <n>", "epochs of fine-tuning", numberBetween(0, 1e6), 4)
  .option("--threads <n>", "threads of the runtime", wholeNumber(1), availableParallelism())
  .option("--seed <n>", "seed of everything random", wholeNumber(0), 0)
  .action(async (options: Options) => {
    process.stdout.write(`${(await measure(options)).join("\n")}\n`);
  });

await runBenchmark(program);
