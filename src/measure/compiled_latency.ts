import { compileToWasm } from "../compile/index.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { load, type Model, type OutputData } from "../runtime/index.js";
import { type Contender, measureByTurns, type Timing, timed } from "./by_turns.js";
import { samplePattern } from "./latency.js";

/** Turns of each network, of 40 ms. */
const ROUNDS = 9;

/** A network for one image with float32 inputs and outputs: the form in which engines are compared. */
export function singleImage(graph: Graph): Graph {
  return fixBatch(float32Interface(graph), 1);
}

/** A network for one image, compiled to WebAssembly. @throws PenniError as `compileToWasm` */
export async function compiledContender(engine: string, single: Graph): Promise<Contender> {
  return moduleContender(engine, await load<OutputData>(compileToWasm(single)));
}

/** A loaded module, fed with the pattern of `sampleFeeds`. */
export function moduleContender(
  engine: string,
  model: Model<OutputData | Readonly<Record<string, OutputData>>>,
): Contender {
  const inputs = Object.fromEntries(model.inputs.map(({ name, dims }) => [name, samplePattern(dims)]));
  return { engine, sample: timed(() => model.run(inputs)) };
}

/**
 * Latency of one image, of networks compiled to WebAssembly, by turns on one thread; undefined if one of them cannot be
 * compiled.
 */
export async function measureCompiledLatency(
  graphs: readonly Graph[],
): Promise<readonly Timing[] | undefined> {
  try {
    const contenders = await Promise.all(
      graphs.map((graph) => compiledContender(graph.name, singleImage(graph))),
    );
    return await measureByTurns(contenders, ROUNDS);
  } catch (error) {
    if (error instanceof PenniError && (error.code === "unsupported" || error.code === "shape"))
      return undefined;
    throw error;
  }
}
