/**
 * Entry of the process that tries a provider, started by `resolve.ts`: loads a product of two matrices, runs it,
 * and reports. A provider's libraries can bring a process down, so this is not tried in the user's own.
 */

import { env } from "onnxruntime-node";
import { messageOf } from "../graph/errors.js";
import { elementCount, float32Tensor } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { type Provider, providers } from "./device.js";
import { toOrtTensor } from "./engine.js";
import { nodeEngine } from "./node.js";

/** What a probe tells: the time of one product on the provider and on the CPU, or why there is none. */
export type ProbeReport =
  | { readonly usable: true; readonly milliseconds: number; readonly cpuMilliseconds: number }
  | { readonly usable: false; readonly reason: string };

const SIZE = 512;
const REPEATS = 3;

function product(): Graph {
  const type = { elementType: "float32", shape: [SIZE, SIZE] } as const;
  return {
    name: "probe",
    opsets: new Map([["", 17]]),
    inputs: [{ name: "x", type }],
    outputs: [{ name: "y", type }],
    nodes: [
      { name: "", op: "MatMul", domain: "", inputs: ["x", "x"], outputs: ["y"], attributes: new Map() },
    ],
    initializers: new Map(),
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

/** Milliseconds of the fastest of a few runs after the first. */
async function fastest(provider: Provider): Promise<number> {
  const session = await nodeEngine.openSession(product(), { provider });
  const dims = [SIZE, SIZE];
  const x = toOrtTensor(float32Tensor(dims, new Float32Array(elementCount(dims))));
  const times: number[] = [];
  for (let run = 0; run <= REPEATS; run++) {
    const started = performance.now();
    await session.run({ x });
    times.push(performance.now() - started);
  }
  await session.release();
  return Math.min(...times.slice(1));
}

async function probe(provider: Provider): Promise<ProbeReport> {
  try {
    const milliseconds = await fastest(provider);
    return { usable: true, milliseconds, cpuMilliseconds: await fastest("cpu") };
  } catch (error) {
    return { usable: false, reason: messageOf(error) };
  }
}

const provider = providers.find((name) => name === process.argv[2]);
// What a library misses is told on stderr only; the parent reads it.
env.logLevel = "error";
if (provider !== undefined) {
  const report = await probe(provider);
  process.send?.(report, undefined, undefined, () => process.disconnect());
}
