import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Feeds, Session } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { PenniError } from "../graph/errors.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { median } from "./median.js";

export interface LatencySettings {
  /** Measured runs of each model (50). */
  readonly runs?: number;
  /** Runs of each model before measuring (10). */
  readonly warmup?: number;
  /** Threads of the runtime; by default one per core. */
  readonly threads?: number;
}

/** Milliseconds of one inference. */
export interface Latency {
  readonly medianMs: number;
  readonly minMs: number;
}

/** Inputs of batch 1 (unknown first dimensions count as the batch), filled with a fixed pattern. */
export function sampleFeeds(model: Graph): Feeds {
  const entries = model.inputs.map(({ name, type }): [string, OrtTensor] => {
    const dims = type?.shape?.map((dim, axis) => (typeof dim !== "number" && axis === 0 ? 1 : dim));
    if (type?.elementType !== "float32" || !dims?.every((dim): dim is number => typeof dim === "number")) {
      throw new PenniError("shape", `cannot make up a sample for input "${name}"`, {
        expected: "float32 with fixed dimensions after the batch",
        found: `${type?.elementType ?? "unknown type"} [${type?.shape?.map((dim) => dim ?? "?").join(", ") ?? "?"}]`,
        advice: "Fix the input's dimensions with --input-shape",
      });
    }
    const data = Float32Array.from({ length: elementCount(dims) }, (_, index) => Math.sin(index));
    return [name, new OrtTensor("float32", data, dims)];
  });
  return Object.fromEntries(entries);
}

async function timeOnce(session: Session, feeds: Feeds): Promise<number> {
  const started = performance.now();
  await session.run(feeds);
  return performance.now() - started;
}

/**
 * Latency of batch 1 in ONNX Runtime for Node, of several models by turns: whatever else the machine does
 * meanwhile hits all of them alike.
 * @throws PenniError "shape" if an input's dimensions are not fixed, "bad-model" if a model does not run.
 */
export async function measureLatency(
  given: readonly Graph[],
  { runs = 50, warmup = 10, threads }: LatencySettings = {},
): Promise<readonly Latency[]> {
  const models = given.map(float32Interface);
  const feeds = models.map(sampleFeeds);
  const sessions: Session[] = [];
  const times: number[][] = models.map(() => []);
  try {
    for (const model of models) {
      sessions.push(await openSession(model, threads === undefined ? {} : { threads }));
    }
    for (let round = 0; round < warmup + runs; round++) {
      for (const [index, session] of sessions.entries()) {
        const milliseconds = await timeOnce(session, feeds[index] ?? {});
        if (round >= warmup) times[index]?.push(milliseconds);
      }
    }
  } finally {
    for (const session of sessions) await session.release();
  }
  return times.map((samples) => {
    return { medianMs: median(samples), minMs: Math.min(...samples) };
  });
}
