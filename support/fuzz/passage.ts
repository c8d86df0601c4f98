import { describeInspection } from "../../src/cli/inspect_text.js";
import { inspectedFractions } from "../../src/cli/verdict_text.js";
import { loadBackend, targetNames } from "../../src/compile/backends.js";
import { cName } from "../../src/compile/c/names.js";
import { compileProgram } from "../../src/compile/compile.js";
import { compileToWasm } from "../../src/compile/index.js";
import { verifyProgram } from "../../src/compile/verify/program.js";
import { readClassNames, readPreprocessing } from "../../src/data/preprocessing.js";
import { PenniError } from "../../src/graph/errors.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import type { Graph } from "../../src/graph/types.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { countGraph } from "../../src/measure/count.js";
import { refuseEndlessLoops } from "../../src/measure/endless_loops.js";
import { decompose } from "../../src/method/decompose.js";
import { inspectGraph } from "../../src/method/inspect.js";
import { trainableParameters } from "../../src/method/parameters.js";
import { pruneCoefficients } from "../../src/method/prune.js";
import { modelRemarks } from "../../src/method/remarks.js";
import { shrink } from "../../src/method/shrink.js";
import { verdictOn } from "../../src/method/verdict.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { verifyTypes } from "../../src/ops/inference/verify.js";
import { dequantize } from "../../src/ops/passes/dequantize.js";
import { toFloat32 } from "../../src/ops/passes/float16.js";
import { foldNormalization } from "../../src/ops/passes/fold_normalization.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { unfuse } from "../../src/ops/passes/unfuse.js";
import { upgradeOpset } from "../../src/ops/passes/upgrade_opset.js";
import { buildTrainingStep } from "../../src/train/step.js";

/** What must not happen to a broken model: anything but success or a typed error. */
export class Finding extends Error {
  constructor(
    readonly stage: string,
    problem: string,
    cause?: unknown,
  ) {
    super(`${stage}: ${problem}`, { cause });
    this.name = "Finding";
  }
}

/** Stages that refused the model, with the code of the error: "simplify: shape". */
export type Refusals = readonly string[];

const LONGEST_MESSAGE = 2000;

function judge(stage: string, error: unknown): string {
  if (!(error instanceof PenniError)) throw new Finding(stage, `an untyped error: ${error}`, error);
  if (error.code === "internal") throw new Finding(stage, `an internal error: ${error.message}`, error);
  if (error.message.length > LONGEST_MESSAGE || /\p{Cc}/u.test(error.message)) {
    throw new Finding(stage, `an error of more than one short line: ${error.message}`, error);
  }
  return `${stage}: ${error.code}`;
}

const backends = await Promise.all(targetNames.map(async (name) => [name, await loadBackend(name)] as const));

/** Runs stages one after the other; a refusal is noted, everything else that goes wrong is a `Finding`. */
export class Passage {
  readonly refusals: string[] = [];

  attempt<Result>(stage: string, work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.refusals.push(judge(stage, error));
      return undefined;
    }
  }

  /** A stage from graph to graph; what it leaves must be sound. */
  rewrite(stage: string, graph: Graph, work: (graph: Graph) => Graph): Graph {
    const result = this.attempt(stage, () => work(graph));
    if (result === undefined) return graph;
    try {
      verifyGraph(result);
    } catch (error) {
      throw new Finding(stage, `it left a malformed graph: ${error}`, error);
    }
    return result;
  }
}

/** Bases, training steps and the like are made of models up to this size: they take long for real ones. */
const LARGEST_TRAINED_NODES = 120;

/** Takes a model through everything that Penni does with one before and after training, but running it. */
export function takeThrough(graph: Graph): Refusals {
  const passage = new Passage();
  writeAndRead("encode", graph);
  passage.attempt("verify", () => verifyTypes(graph));
  passage.attempt("metadata", () => [readPreprocessing(graph.metadata), readClassNames(graph.metadata)]);

  passage.attempt("endless loops", () => refuseEndlessLoops(graph));
  const real = passage.rewrite("dequantize", graph, (whole) => dequantize(whole).graph);
  if (real !== graph) passage.rewrite("simplify dequantized", real, simplify);

  const upgraded = passage.rewrite("upgrade", graph, (whole) => toFloat32(upgradeOpset(unfuse(whole))));
  const simplified = passage.rewrite("simplify", upgraded, simplify);
  const fixed = passage.rewrite("fix batch", simplified, (whole) => fixBatch(whole, 1));
  passage.attempt("infer", () => inferGraph(fixed));
  passage.attempt("count", () => countGraph(fixed));
  passage.attempt("inspect", () => {
    const remarks = modelRemarks(graph, fixed);
    const inspection = inspectGraph(fixed);
    const verdict = verdictOn(
      fixed,
      inspection,
      { bytes: 0, half: false },
      { fractions: inspectedFractions },
    );
    return describeInspection({ ...inspection, remarks, verdict }, 80);
  });
  // In the order of `penni inspect`, for models that only make sense once their batch is fixed.
  const first = passage.rewrite("fix batch first", graph, (whole) => fixBatch(whole, 1));
  if (first !== graph) passage.rewrite("simplify fixed", first, simplify);

  const decomposed = passage.rewrite("decompose", simplified, (whole) => decompose(whole, { basis: 5 }));
  const pruned = passage.rewrite(
    "prune",
    decomposed,
    (whole) => pruneCoefficients(whole, { factor: 1 }).graph,
  );
  const shrunk = passage.rewrite("shrink", pruned, shrink);
  if (pruned !== simplified) passage.rewrite("shrink simplified", simplified, shrink);
  const folded = passage.rewrite("fold", shrunk, foldNormalization);
  writeAndRead("encode folded", folded, true);
  for (const [name, { target, weightPlaces, emit }] of backends) {
    const weights = weightPlaces.at(-1);
    const options = { name: cName("fuzz"), ...(weights === undefined ? {} : { weights }) };
    passage.attempt(`compile to ${name}`, () => {
      const program = compileProgram(graph, target);
      verifyProgram(program, target.width);
      return emit(program, options);
    });
  }
  passage.attempt("compile compressed", () => compileToWasm(folded));
  if (decomposed.nodes.length <= LARGEST_TRAINED_NODES)
    passage.attempt("train", () => trainingStep(decomposed));
  return passage.refusals;
}

/** What could be read can be written, and what was written can be read. */
function writeAndRead(stage: string, graph: Graph, sparse = false): void {
  try {
    decodeModel(encodeModel(graph, { sparse }));
  } catch (error) {
    throw new Finding(stage, `what was written cannot be read: ${error}`, error);
  }
}

function trainingStep(decomposed: Graph): void {
  const network = fixBatch(decomposed, 2);
  const rule = { l1: "none", masked: false, rate: 1 } as const;
  const trained = new Map([...trainableParameters(network).keys()].map((name) => [name, rule]));
  buildTrainingStep(network, new Set(trained.keys()), {
    trained,
    batchNormalization: "batch",
    loss: { crossEntropy: 0.3, labelSmoothing: 0.1, distillation: 0.7, temperature: 4 },
    optimizer: { momentum: 0.9, weightDecay: 1e-4 },
  });
}

/** Reads bytes and takes what they hold through everything. */
export function takeBytesThrough(bytes: Uint8Array): Refusals {
  const passage = new Passage();
  const graph = passage.attempt("decode", () => decodeModel(bytes, { file: "broken.onnx" }));
  return graph === undefined ? passage.refusals : takeThrough(graph);
}
