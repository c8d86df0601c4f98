import type { Command } from "commander";
import type { Timing } from "../measure/by_turns.js";
import { describeLayerSpeeds, describeTimings, type LayerSpeed } from "./bench_text.js";
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
        terminal.stdout.write(`${options.json === true ? JSON.stringify({ model, ...result }) : text}\n`);
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

async function openModel(model: string, options: BenchOptions) {
  const [{ readModel }, { specializeInputs }] = await Promise.all([
    import("../onnx/files.js"),
    import("../graph/passes/fix_input_shape.js"),
  ]);
  const given = await readModel(model);
  return naming(model, async () => specializeInputs(given, options.inputShape ?? new Map()));
}

async function layerSpeeds(
  model: string,
  options: BenchOptions,
  terminal: Terminal,
): Promise<{ readonly peak: number; readonly layers: readonly LayerSpeed[] }> {
  const [graph, { compileProgram }, { targets }, { gigaflops, measurePeak, measureSteps }] =
    await Promise.all([
      openModel(model, options),
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
  const [graph, { compileToWasm }, { load }, { openSession }, { sampleFeeds }, { fixBatch }, half, turns] =
    await Promise.all([
      openModel(model, options),
      import("../compile/index.js"),
      import("../runtime/index.js"),
      import("../execute/node.js"),
      import("../measure/latency.js"),
      import("../graph/passes/fix_input_shape.js"),
      import("../ops/passes/float16.js"),
      import("../measure/by_turns.js"),
    ]);
  return naming(model, async () => {
    const single = fixBatch(half.float32Interface(graph), 1);
    const compiled = await load(compileToWasm(single));
    const feeds = sampleFeeds(single);
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [name, tensor.data as Float32Array]),
    );
    const session = await openSession(single, { threads: 1 });
    try {
      return await turns.measureByTurns(
        [
          { engine: "compiled WebAssembly", sample: turns.timed(() => compiled.run(inputs)) },
          { engine: "ONNX Runtime for Node", sample: turns.timedAsync(() => session.run(feeds)) },
        ],
        options.rounds,
      );
    } finally {
      await session.release();
    }
  });
}
