import type { Command } from "commander";
import { PenniError } from "../graph/errors.js";
import { naming } from "../graph/naming.js";
import { gigaflops } from "../measure/gigaflops.js";
import { terminalJson } from "../text/destinations.js";
import type { CompareOptions, Comparison } from "./bench_models.js";
import {
  describeBudgetLine,
  describeComparison,
  describeLayerSpeeds,
  type LayerSpeed,
  type LayerSpeeds,
} from "./bench_text.js";
import { isGiven, refuseExtra } from "./extra.js";
import { addExamples, type Example, headings } from "./help.js";
import { openModel } from "./model_and_images.js";
import { inputShape, wholeNumber } from "./options.js";
import { progressBar } from "./progress.js";
import { lineWidth, type Terminal } from "./terminal.js";

interface BenchOptions extends CompareOptions {
  readonly layers?: boolean;
  readonly json?: boolean;
}

/** `penni bench`: how fast a model runs compiled to WebAssembly, as a whole or layer by layer. */
export function addBenchCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("bench")
    .description(
      "measure models compiled to WebAssembly beside ONNX Runtime, for Node and (if installed) for the web: one image, one thread",
    )
    .argument("<models...>", ".onnx files, or .wasm and .node files that penni compile wrote")
    .optionsGroup("What to measure:")
    .option(
      "--layers",
      "time and GFLOP/s of each layer's kernels instead, within whole runs, against the machine's peak",
    )
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 15)
    .option(
      "--budget <file>",
      "fail (exit status 1) where the first model costs more than this JSON file allows",
    )
    .option("--data <spec>", "also measure accuracy on these test images, as for penni eval")
    .option("--limit <n>", "only the first n test images", wholeNumber(1))
    .optionsGroup(headings.model)
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape)
    .optionsGroup(headings.output)
    .option("--json", "print the result as JSON")
    .action(async (models: readonly string[], options: BenchOptions, command: Command) => {
      checkCall(options, command);
      const width = lineWidth(terminal.stdout);
      const print = (result: object, text: string): void => {
        terminal.stdout.write(`${options.json === true ? terminalJson(result) : text}\n`);
      };
      if (options.layers === true) {
        const model = onlyModel(models);
        const speeds = await layerSpeeds(model, options, terminal);
        print({ model, ...speeds }, describeLayerSpeeds(speeds, width));
        return;
      }
      const { compareModels } = await import("./bench_models.js");
      const comparison = await compareModels(models, options, terminal);
      print(comparison, describeComparison(comparison, width));
      checkBudget(comparison);
    });
  return addExamples(command, examples);
}

const words = (line: string): readonly string[] => line.split(" ");

const examples: readonly Example[] = [
  { what: "beside ONNX Runtime:", words: ["bench", "run/model.onnx"] },
  {
    what: "several, with their accuracy:",
    words: words("bench net.onnx run/model.onnx --data folder:photos"),
  },
  { what: "in a pull request's checks:", words: words("bench new.onnx main.onnx --budget budget.json") },
  { what: "which layers take the time:", words: ["bench", "run/model.onnx", "--layers"] },
];

/** Options that are about models as a whole. */
const ofWholes = ["rounds", "budget", "data", "limit"] as const;

/** @throws PenniError "bad-option" if an option would be passed over */
function checkCall({ layers, data, limit }: BenchOptions, command: Command): void {
  refuseExtra([
    ...ofWholes.map((name) => ({
      name: `--${name}`,
      isExtra: layers === true && isGiven(command, name),
      expected: "a call without --layers",
    })),
    { name: "--limit", isExtra: limit !== undefined && data === undefined, expected: "--data SPEC" },
  ]);
}

/** @throws PenniError "bad-option" if there are several */
function onlyModel(models: readonly string[]): string {
  const [model, ...others] = models;
  if (model !== undefined && others.length === 0) return model;
  throw new PenniError("bad-option", "--layers looks into one model at a time", {
    expected: "one model",
    found: `${models.length}`,
  });
}

/** @throws PenniError "over-budget" naming the limits that are not kept */
function checkBudget({ budget = [] }: Comparison): void {
  const broken = budget.filter(({ isKept }) => !isKept);
  if (broken.length === 0) return;
  throw new PenniError("over-budget", "the model is over its budget", {
    found: broken.map(describeBudgetLine).join("; "),
  });
}

async function layerSpeeds(model: string, options: BenchOptions, terminal: Terminal): Promise<LayerSpeeds> {
  const [graph, { compileProgram }, { backend }, { measurePeak, measureSteps }] = await Promise.all([
    openModel(model, options.inputShape),
    import("../compile/compile.js"),
    import("../compile/wasm/backend.js"),
    import("../measure/step_times.js"),
  ]);
  const program = await naming(model, async () => compileProgram(graph, backend.target));
  const bar = progressBar(terminal.stderr, "runs");
  try {
    const { steps, wholeMs, wholeRange, remainderMs, runs } = await measureSteps(program, backend.execution, {
      onProgress: bar.update,
    });
    const layers = steps.map(({ step, ms }): LayerSpeed => {
      const { node, op, kernel, multiplyAccumulates } = step;
      return {
        node,
        op,
        kernel: kernel.name,
        multiplyAccumulates,
        ms,
        gflops: gigaflops(multiplyAccumulates, ms),
      };
    });
    return { peak: measurePeak(backend), wholeMs, wholeRange, remainderMs, runs, layers };
  } finally {
    bar.stop();
  }
}
