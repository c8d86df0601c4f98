/**
 * Drives torchvision's architectures, as PyTorch exports them with random weights, through every stage and prints a
 * table: node dist/bench/zoo.js DIR [NETWORK ...] [--variants bn13,folded13]. What DIR lacks is exported first, by a
 * Python that has torchvision (python3-torchvision on Debian). Numbers in the table are errors: of the outputs
 * relative to the largest one, of gradients relative to PyTorch's by norm.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Command } from "commander";
import { blockSize } from "../src/execute/block_size.js";
import { readModel } from "../src/files/model_files.js";
import { PenniError } from "../src/graph/errors.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import { float32Tensor } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { findDecompositions } from "../src/layers/weights.js";
import { decompose } from "../src/method/decompose.js";
import { verifyTypes } from "../src/ops/inference/verify.js";
import { foldBatchNormalization } from "../src/ops/passes/fold_batch_normalization.js";
import { assertAgree, outputsOf, type Tensors } from "../support/zoo/agreement.js";
import { withProbe } from "../support/zoo/probe.js";
import { batchOf, checkShapes, exported, imported, pruned, shrunk } from "../support/zoo/stages.js";
import {
  assertFinite,
  directionalDerivative,
  type GradientOptions,
  GradientStep,
  type Gradients,
  type LabelledBatch,
  largestGradientError,
  zeroGradients,
} from "../support/zoo/training.js";
import { runBenchmark } from "./command.js";
import { findPyTorch, PYTORCH_ADVICE, pytorchScript } from "./pytorch.js";

interface About {
  readonly kind: "classifier" | "other" | "whole";
  readonly input: readonly number[];
  readonly refused: Readonly<Record<string, string>>;
}

/** Of the central differences: rounding spoils the small ones, kinks and curvature the large ones. */
const STEP_SIZES = [1e-3, 3e-3, 1e-2];

/** Row of the table: what each stage found. */
type Row = Map<string, string>;

const read = (file: string): Float32Array => {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
};
const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, "utf8")) as T;
const percent = (value: number): string => value.toExponential(0);

/** Runs one stage and writes down its result or its failure. */
async function stage<T>(
  row: Row,
  name: string,
  work: () => Promise<readonly [string, T]>,
): Promise<T | undefined> {
  try {
    const [text, result] = await work();
    row.set(name, text);
    process.stderr.write(`  ${name}: ${text}\n`);
    return result;
  } catch (error) {
    row.set(name, "FAIL");
    const message =
      error instanceof PenniError ? error.message : error instanceof Error ? (error.stack ?? "") : "";
    process.stderr.write(`  ${name}: ${message.split("\n").slice(0, 6).join("\n    ")}\n`);
    return undefined;
  }
}

/** PyTorch's gradients of one step, by parameter. */
function pytorchGradients(folder: string, mode: GradientOptions["batchNormalization"]): Gradients {
  const about = readJson<{ loss: number; parameters: [string, number[]][] }>(
    path.join(folder, `gradients-${mode}.json`),
  );
  const data = read(path.join(folder, `gradients-${mode}.f32`));
  let offset = 0;
  const parameters = about.parameters.map(([name, dims]) => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    offset += size;
    return [name, data.subarray(offset - size, offset)] as const;
  });
  return { loss: about.loss, parameters: new Map(parameters) };
}

async function gradientsOf(
  network: Graph,
  batch: LabelledBatch,
  options: GradientOptions,
): Promise<Gradients> {
  const step = await GradientStep.load(network, batch, options);
  try {
    const found = await step.gradients();
    assertFinite(found, network);
    return found;
  } finally {
    await step.release();
  }
}

/** The parameters that both know by the same name. */
function shared(
  want: Gradients,
  got: Gradients,
): readonly [Map<string, Float32Array>, Map<string, Float32Array>] {
  const names = [...want.parameters.keys()].filter(
    (name) => got.parameters.get(name)?.length === want.parameters.get(name)?.length,
  );
  const pick = ({ parameters }: Gradients) =>
    new Map(names.map((name) => [name, parameters.get(name) ?? new Float32Array()]));
  return [pick(want), pick(got)];
}

async function trainingStages(
  row: Row,
  folder: string,
  graph: Graph,
  about: About,
  feeds: Tensors,
): Promise<void> {
  const [images] = feeds.values();
  if (images === undefined) return;
  const block = await blockSize();
  const isClassifier = about.kind === "classifier";
  const labels = isClassifier
    ? readJson<number[]>(path.join(folder, "labels.json"))
    : Array.from({ length: batchOf(feeds) }, (_, index) => index % 4);
  const network = isClassifier ? graph : withProbe(graph, labels.length);
  const batch = { images, labels };
  for (const mode of ["frozen", "batch"] as const) {
    const plain = await stage(row, mode, async () => {
      const found = await gradientsOf(network, batch, { batchNormalization: mode });
      const zeros = zeroGradients(found).length;
      const zeroText = zeros === 0 ? "" : ` ${zeros} zero`;
      if (!isClassifier) return [`ok${zeroText}`, found];
      const [want, got] = shared(pytorchGradients(folder, mode), found);
      const { error, name } = largestGradientError(want, got);
      if (error > 1e-2) process.stderr.write(`  ${mode}: largest error at ${name}\n`);
      return [`${percent(error)} (${want.size}/${found.parameters.size})${zeroText}`, found];
    });
    if (plain === undefined || block === undefined) continue;
    await stage(row, `${mode} blocked`, async () => {
      const found = await gradientsOf(network, batch, { batchNormalization: mode, block });
      const { error, name } = largestGradientError(plain.parameters, found.parameters);
      if (error > 1e-2) process.stderr.write(`  ${mode} blocked: largest error at ${name}\n`);
      return [percent(error), undefined];
    });
  }
}

async function decomposedTraining(row: Row, graph: Graph, about: About, feeds: Tensors): Promise<void> {
  const [images] = feeds.values();
  if (images === undefined) return;
  const block = await blockSize();
  const labels = Array.from({ length: batchOf(feeds) }, (_, index) => index % 4);
  const network = about.kind === "classifier" ? graph : withProbe(graph, labels.length);
  const batch = { images, labels };
  await stage(row, "step d=5", async () => {
    const step = await GradientStep.load(network, batch, { batchNormalization: "frozen" });
    const found = await step.gradients();
    assertFinite(found, network);
    const errors: number[] = [];
    for (const size of STEP_SIZES) {
      const { stated, measured, scale } = await directionalDerivative(step, found, { seed: 1, size });
      errors.push(Math.abs(stated - measured) / scale);
    }
    await step.release();
    const difference = `fd ${percent(Math.min(...errors))}`;
    if (block === undefined) return [difference, undefined];
    const blocked = await gradientsOf(network, batch, { batchNormalization: "frozen", block });
    const { error } = largestGradientError(found.parameters, blocked.parameters, found.magnitudes);
    return [`${difference}, bl ${percent(error)}`, undefined];
  });
}

async function drive(root: string, network: string, variant: string, training: boolean): Promise<Row> {
  const row: Row = new Map([["network", `${network}/${variant}`]]);
  process.stderr.write(`${network}/${variant}\n`);
  const folder = path.join(root, network);
  const about = readJson<About>(path.join(folder, "about.json"));
  const refusal = about.refused[variant];
  if (refusal !== undefined) return row.set("import", `PyTorch: ${refusal.slice(0, 60)}`);
  const original = await readModel(path.join(folder, `${variant}.onnx`));
  const feeds: Tensors = new Map([
    ["input", float32Tensor(about.input, read(path.join(folder, "input.f32")))],
  ]);
  await stage(row, "PyTorch", async () => {
    const [{ name } = { name: "" }] = original.outputs;
    const tensor = (await outputsOf(original, feeds)).get(name);
    // A whole detector with random weights sorts boxes of equal scores in any order.
    if (tensor === undefined || about.kind === "whole") return ["", undefined];
    const want = float32Tensor(tensor.dims, read(path.join(folder, "output.f32")));
    return [percent(assertAgree(new Map([[name, want]]), new Map([[name, tensor]]))), undefined];
  });
  const graph = await stage(row, "import", async () => {
    const found = await imported(original, feeds);
    return [`${original.nodes.length}>${found.nodes.length}`, found];
  });
  if (graph === undefined) return row;
  await stage(row, "shapes", async () => {
    const unknown = await checkShapes(graph, feeds);
    if (unknown.length > 0) process.stderr.write(`  no static shape: ${unknown.slice(0, 8).join(", ")}\n`);
    return [unknown.length === 0 ? "ok" : `${unknown.length} open`, undefined];
  });
  const expected = await outputsOf(graph, feeds);
  await stage(row, "fold", async () => {
    const folded = foldBatchNormalization(graph);
    verifyTypes(folded);
    return [percent(assertAgree(expected, await outputsOf(folded, feeds))), undefined];
  });
  if (training && about.kind !== "whole") await trainingStages(row, folder, graph, about, feeds);
  const thin = await stage(row, "decompose", async () => {
    const decomposed = decompose(graph, { basis: 5 });
    verifyTypes(decomposed);
    if (training && about.kind !== "whole") await decomposedTraining(row, decomposed, about, feeds);
    return [`${findDecompositions(decomposed).length} layers`, pruned(decomposed, 7)];
  });
  if (thin === undefined) return row;
  const smaller = await stage(row, "shrink", async () => {
    const report = await shrunk(thin, feeds);
    return [`${((100 * report.after) / report.before).toFixed(0)} %`, report.graph];
  });
  if (smaller === undefined) return row;
  await stage(row, "export", async () => {
    const bytes = await exported(smaller, feeds);
    const fixed = fixBatch(smaller, batchOf(feeds));
    verifyTypes(fixed);
    return [`${(bytes.length / 1e6).toFixed(1)} MB`, undefined];
  });
  return row;
}

function exportMissing(root: string, networks: readonly string[]): void {
  const missing = networks.filter((network) => !existsSync(path.join(root, network, "about.json")));
  if (networks.length > 0 && missing.length === 0) return;
  if (networks.length === 0 && existsSync(root)) return;
  const python = findPyTorch();
  if (python === undefined) throw new PenniError("unsupported", PYTORCH_ADVICE);
  spawnSync(python, [pytorchScript("zoo.py"), root, ...missing], { stdio: "inherit" });
}

function printTable(rows: readonly Row[]): void {
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  const width = (column: string): number =>
    Math.max(column.length, ...rows.map((row) => (row.get(column) ?? "").length));
  const line = (cells: (column: string) => string): string =>
    columns.map((column) => cells(column).padEnd(width(column))).join("  ");
  process.stdout.write(`${line((column) => column)}\n`);
  for (const row of rows) process.stdout.write(`${line((column) => row.get(column) ?? "")}\n`);
}

interface Options {
  readonly variants: string;
  readonly training: boolean;
}

const program = new Command("zoo")
  .argument("<dir>")
  .argument("[networks...]")
  .option("--variants <list>", "exports to try", "bn13")
  .option("--no-training", "leave the training steps out")
  .action(async (root: string, names: readonly string[], options: Options) => {
    exportMissing(root, names);
    const networks =
      names.length > 0
        ? names
        : readdirSync(root, { withFileTypes: true })
            .filter((entry) => entry.isDirectory())
            .map((entry) => entry.name);
    const rows: Row[] = [];
    for (const network of networks)
      for (const variant of options.variants.split(","))
        rows.push(await drive(root, network, variant, options.training));
    printTable(rows);
  });

await runBenchmark(program);
