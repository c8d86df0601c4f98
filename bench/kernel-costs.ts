/**
 * Times the compiler's dense and sparse convolution kernels over shapes and densities, one thread: how close the time
 * is to linear in the number of weights that are not zero, and where the two cross over, beside where the cost model
 * expects it.
 *
 *   node dist/bench/kernel-costs.js [--target wasm|c] [--compiler gcc] [--json]
 */
import { Command, Option } from "commander";
import { type Column, formatTable } from "../src/cli/table.js";
import { loadBackend, type TargetName, targetNames } from "../src/compile/backends.js";
import { runBenchmark } from "./command.js";
import {
  costShapes,
  densities,
  expectedCrossover,
  type KernelCosts,
  measureKernelCosts,
} from "./inference/kernel_costs.js";

interface Options {
  readonly target: TargetName;
  readonly compiler: string;
  readonly json?: boolean;
}

async function main(options: Options): Promise<void> {
  const backend = await loadBackend(options.target);
  const rows: KernelCosts[] = [];
  for (const shape of costShapes)
    rows.push(await measureKernelCosts(shape, { backend, compiler: options.compiler }));
  const expected = expectedCrossover(backend.target);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ densities, rows, expected })}\n`);
    return;
  }
  const columns: readonly Column<KernelCosts>[] = [
    {
      title: "layer",
      cell: (row) => `${row.inputs} to ${row.outputs}, ${row.size}x${row.size}, ${row.kernel}x${row.kernel}`,
      dropOrder: 0,
    },
    { title: "dense ms", cell: (row) => row.denseMs.toFixed(3), align: "right", dropOrder: 0 },
    { title: "GFLOP/s", cell: (row) => row.denseGflops.toFixed(1), align: "right", dropOrder: 0 },
    ...densities.map(
      (density, index): Column<KernelCosts> => ({
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
    .addOption(new Option("--target <name>", "which back end").choices(targetNames).default("wasm"))
    .option("--compiler <command>", "the C compiler", "gcc")
    .option("--json", "print one JSON object")
    .action(main),
);
