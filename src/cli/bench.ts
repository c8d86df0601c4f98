import type { Command } from "commander";
import type { Timing } from "../measure/by_turns.js";
import { gigaflops } from "../measure/gigaflops.js";
import { terminalJson } from "../text/destinations.js";
import { describeLayerSpeeds, describeTimings, type LayerSpeed } from "./bench_text.js";
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
  return program
    .command("bench")
    .description("measure a model compiled to WebAssembly beside ONNX Runtime: one image, one thread")
    .argument("<model>", "an .onnx file")
    .option("--layers", "time and GFLOP/s of each layer's kernels instead, against the machine's peak")
    .option("--rounds <n>", "turns of each engine", wholeNumber(1), 15)
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape)
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
      const timings = await compareEngines(model, options);
      print({ timings }, describeTimings(timings, width));
    });
}

async function layerSpeeds(
  model: string,
  options: BenchOptions,
  terminal: Terminal,
): Promise<{ readonly peak: number; readonly layers: readonly LayerSpeed[] }> {
  const [graph, { compileProgram }, { targets }, { measurePeak, measureSteps }] = await Promise.all([
    openModel(model, options.inputShape),
    import("../compile/compile.js"),
    import("../compile/targets.js"),
    import("../measure/step_times.js"),
  ]);
  const program = await naming(model, async () => compileProgram(graph, targets.wasm));
  const bar = progressBar(terminal.stderr, "kernels");
  try {
    const times = await measureSteps(program, bar.update);
    const layers = times.map(({ step, ms }): LayerSpeed => {
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
    return { peak: measurePeak(targets.wasm.width), layers };
  } finally {
    bar.stop();
  }
}

async function compareEngines(model: string, options: BenchOptions): Promise<readonly Timing[]> {
  const [graph, { openSession }, { sampleFeeds }, { compiledContender, singleImage }, turns] =
    await Promise.all([
      openModel(model, options.inputShape),
      import("../execute/node.js"),
      import("../measure/latency.js"),
      import("../measure/compiled_latency.js"),
      import("../measure/by_turns.js"),
    ]);
  return naming(model, async () => {
    const single = singleImage(graph);
    const compiled = await compiledContender("compiled WebAssembly", single);
    const feeds = sampleFeeds(single);
    const session = await openSession(single, { threads: 1 });
    const runtime = {
      engine: "ONNX Runtime for Node",
      sample: turns.timedAsync(() => session.run(feeds)),
    };
    try {
      return await turns.measureByTurns([compiled, runtime], options.rounds);
    } finally {
      await session.release();
    }
  });
}
