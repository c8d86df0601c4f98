import path from "node:path";
import { z } from "zod";
import { readModel } from "../src/files/model_files.js";
import { last } from "../src/graph/at.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../src/graph/types.js";
import { countGraph } from "../src/measure/count.js";
import { decompose } from "../src/method/decompose.js";
import { shrink } from "../src/method/shrink.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { upgradeOpset } from "../src/ops/passes/upgrade_opset.js";
import { type CompressionOutcome, output } from "./compression_run.js";
import { pytorchScript } from "./pytorch.js";
import { readWeights, writeWeights } from "./pytorch_weights.js";

/** Basis kernels of each layer, as published. */
const BASIS = 5;

const totalsSchema = z.object({ stage: z.literal("done"), seconds: z.number(), test: z.number() });

export interface PyTorchRun {
  /** A trained ResNet-20. */
  readonly model: string;
  /** CIFAR-10 in its binary layout. */
  readonly data: string;
  /** Of `pytorch/penni_run.py`, besides files and basis. */
  readonly options: readonly string[];
}

/** The authors' published procedure on ResNet-20, in PyTorch; its weights are kept in the folder. */
export async function compressInPyTorch(
  python: string,
  folder: string,
  { model, data, options }: PyTorchRun,
): Promise<CompressionOutcome & { readonly executed: number }> {
  const graph = simplify(upgradeOpset(await readModel(model)));
  const weights = path.join(folder, "original.f32");
  const result = path.join(folder, "pytorch.f32");
  await writeWeights(weights, graph);
  const files = ["--data", data, "--weights", weights, "--result", result, "--basis", String(BASIS)];
  const lines = await output(python, [pytorchScript("penni_run.py"), ...files, ...options]);
  const { seconds, test } = totalsSchema.parse(JSON.parse(last(lines)));
  const compressed = await readWeights(result, decompose(graph, { basis: BASIS }));
  return { seconds, test, ...compression(graph, shrink(compressed)) };
}

function compression(
  original: Graph,
  compressed: Graph,
): Pick<CompressionOutcome, "parameters" | "macs"> & { readonly executed: number } {
  const [before, after] = [original, compressed].map((graph) => countGraph(fixBatch(graph, 1)));
  if (before === undefined || after === undefined) throw new Error("two networks have two counts");
  return {
    parameters: after.parameters / before.parameters,
    macs: after.paperMacs / before.paperMacs,
    executed: after.executedMacs / before.executedMacs,
  };
}
