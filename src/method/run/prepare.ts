import { readFileSync } from "node:fs";
import path from "node:path";
import type { Split } from "../../data/dataset.js";
import { holdOut } from "../../data/hold_out.js";
import {
  imagenetPreprocessing,
  levelTable,
  overridePreprocessing,
  type Preprocessing,
  readPreprocessing,
} from "../../data/preprocessing.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import { elementCount } from "../../graph/tensor.js";
import type { Graph } from "../../graph/types.js";
import { countGraph } from "../../measure/count.js";
import { readModel } from "../../onnx/files.js";
import { inferGraph } from "../../ops/infer.js";
import { simplify } from "../../ops/passes/simplify.js";
import { upgradeOpset } from "../../ops/passes/upgrade_opset.js";
import { buildTrainingStep } from "../../train/step.js";
import { decompose, decompositionCandidates } from "../decompose.js";
import { trainableParameters } from "../parameters.js";
import { pruneToMacs } from "../prune.js";
import { type RunConfig, type Settings, settingsSchema } from "./config.js";
import { RunDirectory } from "./directory.js";
import { openFittingDataset } from "./pipeline.js";

/** What the user asks for. */
export interface CompressRequest {
  /** An .onnx file. */
  readonly model: string;
  /** As for `openDataset`. */
  readonly data: string;
  /** The run's directory: new or empty. */
  readonly out: string;
  readonly preset: string;
  readonly settings: Settings;
  readonly seed: number;
  /** In place of what the model's metadata say. */
  readonly preprocessing?: Partial<Pick<Preprocessing, "mean" | "std">>;
}

/**
 * Checks everything that can be checked before hours are spent (model, data, their fit, a gradient for
 * every operator on the way), then creates the run's directory. Nothing is written if a check fails.
 * @throws PenniError what is wrong, naming file, node, operator or path
 */
export async function prepareRun(request: CompressRequest): Promise<RunDirectory> {
  await RunDirectory.checkFree(request.out);
  checkSettings(request.settings);
  const original = await readModel(request.model);
  const preprocessing = overridePreprocessing(
    readPreprocessing(original.metadata) ?? imagenetPreprocessing,
    request.preprocessing ?? {},
  );
  await naming(request.model, async () => {
    checkCompressible(original, request.settings);
    const dataset = await openFittingDataset(original, request.data);
    const train = await dataset.train();
    await dataset.test();
    levelTable(preprocessing, dataset.channels);
    checkClasses(original, train);
    checkEnoughImages(train, request);
  });
  const config: RunConfig = {
    format: 1,
    model: path.resolve(request.model),
    data: absoluteSpec(request.data),
    seed: request.seed,
    preset: request.preset,
    settings: request.settings,
    preprocessing,
    versions: versions(),
  };
  return RunDirectory.create(request.out, config, original);
}

/** Errors from within name the model's file. */
async function naming<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PenniError && error.code !== "bad-data") throw error.within({ file });
    throw error;
  }
}

function checkSettings(settings: Settings): void {
  const { error } = settingsSchema.safeParse(settings);
  if (error === undefined) return;
  throw new PenniError("bad-option", "a setting is impossible", {
    found: error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "),
    advice: "See penni compress --help",
  });
}

/** Every class of the data needs a score; a model may know more classes. */
function checkClasses(model: Graph, { labels }: Split): void {
  const [output] = model.outputs;
  const shape =
    output === undefined ? undefined : inferGraph(fixBatch(model, 1)).types.get(output.name)?.shape;
  const scores = shape?.slice(1).filter((dim) => typeof dim === "number");
  if (output === undefined || shape === undefined || scores?.length !== shape.length - 1) return;
  const needed = labels.reduce((most, label) => Math.max(most, label), 0) + 1;
  if (elementCount(scores) >= needed) return;
  throw new PenniError("bad-data", `the model's output "${output.name}" has too few classes for the data`, {
    expected: `${needed} or more`,
    found: `[${shape.join(", ")}]`,
    advice: "Choose the data set that the model was trained for",
  });
}

function checkEnoughImages({ labels }: Split, { settings, seed }: CompressRequest): void {
  if (!hasTraining(settings)) return;
  const { train } = holdOut(labels, settings.validation, seed);
  const count = Math.min(train.length, settings.trainLimit ?? train.length);
  if (count >= settings.batch) return;
  throw new PenniError("bad-data", "there are fewer training images than one batch", {
    expected: `at least ${settings.batch}`,
    found: `${count}`,
    advice: "Give more images or a smaller --batch",
  });
}

function hasTraining({ retrain, fineTune }: Settings): boolean {
  return retrain.epochs + fineTune.epochs > 0;
}

function checkCompressible(original: Graph, settings: Settings): void {
  const graph = simplify(upgradeOpset(original));
  const candidates = decompositionCandidates(graph);
  if (candidates.length === 0) {
    throw new PenniError("unsupported", "there is nothing to compress: the model has no convolution", {
      expected: "a convolutional network",
      found: [...new Set(graph.nodes.map((node) => node.op))].slice(0, 8).join(", ") || "no nodes",
    });
  }
  const decomposed = decompose(graph, settings);
  if (hasTraining(settings)) checkGradients(decomposed, settings);
  if (settings.prune.rule === "macs") checkTarget(graph, decomposed, settings.prune.fraction);
}

/** Whether a MACs target can be reached does not depend on the coefficients: pruning them all must be enough. */
function checkTarget(graph: Graph, decomposed: Graph, fraction: number): void {
  const originalMacs = countGraph(fixBatch(graph, 1)).executedMacs;
  pruneToMacs(fixBatch(decomposed, 1), { fraction, originalMacs });
}

/** Builds the training step once, so that an operator without a gradient is named before the run starts. */
function checkGradients(decomposed: Graph, settings: Settings): void {
  const network = fixBatch(decomposed, settings.batch);
  const rule = { l1: "none", masked: false, rate: 1 } as const;
  const trained = new Map([...trainableParameters(network).keys()].map((name) => [name, rule]));
  buildTrainingStep(network, new Set(trained.keys()), {
    trained,
    batchNormalization: "frozen",
    loss: settings.loss,
    optimizer: settings.optimizer,
  });
}

/** A run may be resumed from another directory, so paths in the specification are made absolute. */
function absoluteSpec(spec: string): string {
  const [kind = "", ...rest] = spec.split(":");
  if (kind === "synthetic" || rest.length === 0) return spec;
  return `${kind}:${path.resolve(rest.join(":"))}`;
}

function versions(): RunConfig["versions"] {
  const version = (file: URL): string =>
    (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
  const runtime = new URL("../package.json", import.meta.resolve("onnxruntime-node"));
  return {
    penni: version(new URL("../../../../package.json", import.meta.url)),
    node: process.versions.node,
    onnxruntime: version(runtime),
  };
}
