import { readFileSync } from "node:fs";
import path from "node:path";
import { imagenetPreprocessing, type Preprocessing, readPreprocessing } from "../../data/preprocessing.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { readModel } from "../../onnx/files.js";
import { simplify } from "../../ops/passes/simplify.js";
import { buildTrainingStep } from "../../train/step.js";
import { decompose, decompositionCandidates } from "../decompose.js";
import { trainableParameters } from "../parameters.js";
import type { RunConfig, Settings } from "./config.js";
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
  const original = await readModel(request.model);
  await naming(request.model, async () => {
    checkCompressible(original, request.settings);
    const dataset = await openFittingDataset(original, request.data);
    await dataset.train();
    await dataset.test();
  });
  const config: RunConfig = {
    format: 1,
    model: path.resolve(request.model),
    data: absoluteSpec(request.data),
    seed: request.seed,
    preset: request.preset,
    settings: request.settings,
    preprocessing: {
      ...(readPreprocessing(original.metadata) ?? imagenetPreprocessing),
      ...request.preprocessing,
    },
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

function checkCompressible(original: Graph, settings: Settings): void {
  const graph = simplify(original);
  const candidates = decompositionCandidates(graph);
  if (candidates.length === 0) {
    throw new PenniError("unsupported", "there is nothing to compress: the model has no convolution", {
      expected: "a convolutional network",
      found: [...new Set(graph.nodes.map((node) => node.op))].slice(0, 8).join(", ") || "no nodes",
    });
  }
  if (settings.retrain.epochs + settings.fineTune.epochs === 0) return;
  checkGradients(decompose(graph, settings), settings);
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
