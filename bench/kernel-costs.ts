/**
 * Times the compiler's dense and sparse convolution kernels over shapes and densities, one thread: how close the time
 * is to linear in the number of weights that are not zero, and where the two cross over, beside where the cost model
 * expects it.
 *
 *   node dist/bench/kernel-costs.js [--target wasm|c] [--compiler gcc] [--json]
 */
import { Command, Option } from "commander";
import { type Column, formatTable } from "../src/cli/table.js";
import { compileProgram } from "../src/compile/compile.js";
import type { KernelRates } from "../src/compile/cost_model.js";
import { type TargetName, targets } from "../src/compile/targets.js";
import { Random } from "../src/data/random.js";
import { ints } from "../src/graph/attributes.js";
import { float32Tensor } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { measureByTurns } from "../src/measure/by_turns.js";
import { gigaflops, measureSteps } from "../src/measure/step_times.js";
import { runBenchmark } from "./command.js";
import { CContender } from "./inference/c_contender.js";

interface Shape {
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly kernel: number;
}

const shapes: readonly Shape[] = [
  { inputs: 16, outputs: 16, size: 32, kernel: 3 },
  { inputs: 64, outputs: 64, size: 32, kernel: 3 },
  { inputs: 128, outputs: 128, size: 16, kernel: 3 },
  { inputs: 256, outputs: 256, size: 8, kernel: 3 },
  { inputs: 512, outputs: 512, size: 4, kernel: 3 },
  { inputs: 64, outputs: 64, size: 7, kernel: 3 },
  { inputs: 64, outputs: 256, size: 32, kernel: 1 },
  { inputs: 256, outputs: 256, size: 14, kernel: 1 },
  { inputs: 512, outputs: 128, size: 7, kernel: 1 },
];

const densities = [1, 0.5, 0.35, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01];

const always: Readonly<Record<"dense" | "sparse", KernelRates>> = {
  dense: { dense: 1e9, sparse: 1e-9, basis: 1e-9 },
  sparse: { dense: 1e-9, sparse: 1e9, basis: 1e-9 },
};

function layer({ inputs, outputs, size, kernel }: Shape, density: number): Graph {
  const random = new Random(7);
  const weights = Float32Array.from({ length: outputs * inputs * kernel * kernel }, () => {
    const value = 0.1 + random.uniform();
    return random.uniform() < density ? value : 0;
  });
  const pad = (kernel - 1) / 2;
  const dims = (channels: number): readonly number[] => [1, channels, size, size];
  return {
    name: "layer",
    opsets: new Map([["", 17]]),
    inputs: [{ name: "x", type: { elementType: "float32", shape: dims(inputs) } }],
    outputs: [{ name: "y", type: { elementType: "float32", shape: dims(outputs) } }],
    nodes: [
      {
        name: "conv",
        op: "Conv",
        domain: "",
        inputs: ["x", "w"],
        outputs: ["y"],
        attributes: new Map([["pads", ints([pad, pad, pad, pad])]]),
      },
    ],
    initializers: new Map([["w", float32Tensor([outputs, inputs, kernel, kernel], weights)]]),
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

interface Options {
  readonly target: TargetName;
  readonly compiler: string;
  readonly json?: boolean;
}

async function milliseconds(graph: Graph, rates: KernelRates, options: Options): Promise<number> {
  const target = { ...targets[options.target], rates };
  if (options.target === "c") {
    const contender = CContender.build("c", graph, options.compiler, target);
    const [timing] = await measureByTurns([contender], C_TURNS);
    contender.close();
    return timing?.minMs ?? Number.NaN;
  }
  const times = await measureSteps(compileProgram(graph, target));
  return times.reduce((sum, { ms, step }) => (step.multiplyAccumulates > 0 ? sum + ms : sum), 0);
}

/** Turns of one program, which is alone: 40 ms each. */
const C_TURNS = 3;

interface Row extends Shape {
  readonly denseMs: number;
  readonly denseGflops: number;
  /** Milliseconds by density, in the order of `densities`. */
  readonly sparseMs: readonly number[];
  /** Of full density. */
  readonly sparseGflops: number;
  /** The largest deviation from the line through the fullest case and zero, as a share of it, from 5 % density on. */
  readonly deviation: number;
  /** The density at which both kernels take the same time; above 1 the sparse one always wins. */
  readonly crossover: number;
}

async function measureShape(shape: Shape, options: Options): Promise<Row> {
  const { inputs, outputs, size, kernel } = shape;
  const products = inputs * outputs * size * size * kernel * kernel;
  const denseMs = await milliseconds(layer(shape, 1), always.dense, options);
  const sparseMs: number[] = [];
  for (const density of densities)
    sparseMs.push(await milliseconds(layer(shape, density), always.sparse, options));
  const slope = slopeThroughZero(densities, sparseMs);
  const deviations = densities.map((density, index) =>
    density < 0.05 ? 0 : Math.abs((sparseMs[index] ?? 0) / (slope * density) - 1),
  );
  return {
    ...shape,
    denseMs,
    denseGflops: gigaflops(products, denseMs),
    sparseMs,
    sparseGflops: gigaflops(products, slope),
    deviation: Math.max(...deviations),
    crossover: denseMs / slope,
  };
}

/** The slope of the line through zero with the least relative errors. */
function slopeThroughZero(x: readonly number[], y: readonly number[]): number {
  const slopes = x
    .map((value, index) => (y[index] ?? 0) / value)
    .filter((_, index) => (x[index] ?? 0) >= 0.05);
  return slopes.reduce((sum, slope) => sum + slope, 0) / slopes.length;
}

async function main(options: Options): Promise<void> {
  const rows: Row[] = [];
  for (const shape of shapes) rows.push(await measureShape(shape, options));
  const { rates } = targets[options.target];
  const expected = rates.sparse / rates.dense;
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ densities, rows, expected })}\n`);
    return;
  }
  const columns: readonly Column<Row>[] = [
    {
      title: "layer",
      cell: (row) => `${row.inputs} to ${row.outputs}, ${row.size}x${row.size}, ${row.kernel}x${row.kernel}`,
      dropOrder: 0,
    },
    { title: "dense ms", cell: (row) => row.denseMs.toFixed(3), align: "right", dropOrder: 0 },
    { title: "GFLOP/s", cell: (row) => row.denseGflops.toFixed(1), align: "right", dropOrder: 0 },
    ...densities.map(
      (density, index): Column<Row> => ({
        title: `${100 * density} %`,
        cell: (row) => (row.sparseMs[index] ?? 0).toFixed(3),
        align: "right",
        dropOrder: 0,
      }),
    ),
    { title: "GFLOP/s", cell: (row) => row.sparseGflops.toFixed(1), align: "right", dropOrder: 0 },
    {
      title: "off line",
      cell: (row) => `${(100 * row.deviation).toFixed(0)} %`,
      align: "right",
      dropOrder: 0,
    },
    {
      title: "crossover",
      cell: (row) => `${(100 * row.crossover).toFixed(0)} %`,
      align: "right",
      dropOrder: 0,
    },
  ];
  process.stdout.write(`${formatTable(columns, rows, 200)}\n`);
  process.stdout.write(`the cost model expects the crossover at ${(100 * expected).toFixed(0)} %\n`);
}

await runBenchmark(
  new Command("kernel-costs")
    .description("times of convolution kernels")
    .addOption(new Option("--target <name>", "which back end").choices(["wasm", "c"]).default("wasm"))
    .option("--compiler <command>", "the C compiler", "gcc")
    .option("--json", "print one JSON object")
    .action(main),
);
