import type { Backend } from "../../src/compile/backend.js";
import { compileProgram } from "../../src/compile/compile.js";
import type { KernelRates } from "../../src/compile/cost_model.js";
import type { Target } from "../../src/compile/target.js";
import { Random } from "../../src/data/random.js";
import { ints } from "../../src/graph/attributes.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { measureByTurns } from "../../src/measure/by_turns.js";
import { gigaflops } from "../../src/measure/gigaflops.js";
import { measureSteps } from "../../src/measure/step_times.js";
import { CContender } from "./c_contender.js";

/** A convolution with stride 1 that keeps the size of its input. */
export interface ConvShape {
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly kernel: number;
}

export const costShapes: readonly ConvShape[] = [
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

/** Shares of weights that are not zero. */
export const densities = [1, 0.5, 0.35, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01];

const always: Readonly<Record<"dense" | "sparse", KernelRates>> = {
  dense: { dense: 1e9, sparse: 1e-9, basis: 1e-9 },
  sparse: { dense: 1e-9, sparse: 1e9, basis: 1e-9 },
};

function layer({ inputs, outputs, size, kernel }: ConvShape, density: number): Graph {
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

export interface KernelCostOptions {
  readonly backend: Backend;
  /** For what is linked. */
  readonly compiler: string;
}

async function milliseconds(
  graph: Graph,
  rates: KernelRates,
  { backend, compiler }: KernelCostOptions,
): Promise<number> {
  const { execution } = backend;
  const target = { ...backend.target, rates };
  switch (execution.kind) {
    case "linked": {
      const contender = CContender.build("program", graph, compiler, { ...backend, target, execution });
      const [timing] = await measureByTurns([contender], C_TURNS);
      contender.close();
      return timing?.minMs ?? Number.NaN;
    }
    case "addon":
      throw new Error("an addon's kernels are those of --target c: measure them");
    case "module": {
      const { steps } = await measureSteps(compileProgram(graph, target), execution);
      return steps.reduce((sum, { ms, step }) => (step.multiplyAccumulates > 0 ? sum + ms : sum), 0);
    }
  }
}

/** Turns of one program, which is alone: 40 ms each. */
const C_TURNS = 3;

/** What was measured of one shape. */
export interface KernelCosts extends ConvShape {
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

/** Times the dense and the sparse kernel of one shape. */
export async function measureKernelCosts(shape: ConvShape, options: KernelCostOptions): Promise<KernelCosts> {
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

/** The density at which the cost model expects both kernels to take the same time. */
export function expectedCrossover({ rates }: Target): number {
  return rates.sparse / rates.dense;
}
