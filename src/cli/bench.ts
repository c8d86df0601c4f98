import type { Command } from "commander";
import { gigaflops } from "../measure/gigaflops.js";
import { terminalJson } from "../text/destinations.js";
import {
  type Comparison,
  describeComparison,
  describeLayerSpeeds,
  type LayerSpeed,
  type LayerSpeeds,
} from "./bench_text.js";
import { addExamples, type Example, headings } from "./help.js";
import { openModel } from "./model_and_images.js";
import { type InputShapes, inputShape, naming, wholeNumber } from "./options.js";
import { progressBar } from "./progress.js";
import { lineWidth, type Terminal } from "./terminal.js";

interface BenchOptions {
  readonly layers?: boolean;
  readonly rounds: number;
  readonly inputShape?: InputShapes;
  readonly json?: boolean;
}

/** `penni bench`: how fast a model runs compiled to WebAssembly, as a whole or layer by layer. */
export function addBenchCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("bench")
    .description(
      "measure a model compiled to WebAssembly beside ONNX Runtime, for Node and (if installed) for the web: one image, one thread",
    )
    .argument("<model>", "an .onnx file")
    .optionsGroup("What to measure:")
    .option(
      "--layers",
      "time and GFLOP/s of each layer's kernels instead, within whole runs, against the machine's peak",
    )
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 15)
    .optionsGroup(headings.model)
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape)
    .optionsGroup(headings.output)
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: BenchOptions) => {
      const width = lineWidth(terminal.stdout);
      const print = (result: object, text: string): void => {
        terminal.stdout.write(`${options.json === true ? terminalJson({ model, ...result }) : text}\n`);
      };
      if (options.layers === true) {
        const speeds = await layerSpeeds(model, options, terminal);
        print(speeds, describeLayerSpeeds(speeds, width));
        return;
      }
      const comparison = await compareEngines(model, options);
      print(comparison, describeComparison(comparison, width));
    });
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  { what: "beside ONNX Runtime:", words: ["bench", "run/model.onnx"] },
  { what: "which layers take the time:", words: ["bench", "run/model.onnx", "--layers"] },
];

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
    const { steps, wholeMs, wholeRange, remainderMs, runs } = await measureSteps(
      program,
      backend.execution,
      bar.update,
    );
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

async function compareEngines(model: string, options: BenchOptions): Promise<Comparison> {
  const [
    graph,
    { openSession },
    { sampleFeeds },
    { compiledContender, singleImage },
    turns,
    { webContender },
  ] = await Promise.all([
    openModel(model, options.inputShape),
    import("../execute/node.js"),
    import("../measure/latency.js"),
    import("../measure/compiled_latency.js"),
    import("../measure/by_turns.js"),
    import("../measure/web_contender.js"),
  ]);
  return naming(model, async () => {
    const single = singleImage(graph);
    const compiled = await compiledContender("compiled WebAssembly", single);
    const feeds = sampleFeeds(single);
    const web = await webContender("onnxruntime-web (WebAssembly)", single, feeds);
    const session = await openSession(single, { threads: 1 });
    const runtime = {
      engine: "ONNX Runtime for Node",
      sample: turns.timedAsync(() => session.run(feeds)),
    };
    const others = "problem" in web ? [runtime] : [web, runtime];
    try {
      const timings = await turns.measureByTurns([compiled, ...others], options.rounds);
      return { timings, ...("problem" in web ? { leftOut: [web] } : {}) };
    } finally {
      await session.release();
      if (!("problem" in web)) await web.release();
    }
  });
}
