import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Feeds, Session } from "../execute/engine.js";
import { collectGrownGarbage } from "../execute/garbage.js";
import { openSession } from "../execute/node.js";
import { at, last } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { type Spread, spreadOf } from "./rounds.js";

export interface LatencySettings {
  /** Measured runs of each model (50). */
  readonly runs?: number;
  /** Runs of each session before measuring (10), as long as they are short. */
  readonly warmup?: number;
  /** Threads of the runtime; by default one per core. */
  readonly threads?: number;
}

/** Milliseconds of one inference. */
export type Latency = Spread;

/** What stands in an input of these dimensions for measuring. */
export function samplePattern(dims: readonly number[]): Float32Array {
  return Float32Array.from({ length: elementCount(dims) }, (_, index) => Math.sin(index));
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
    return [name, new OrtTensor("float32", samplePattern(dims), dims)];
  });
  return Object.fromEntries(entries);
}

async function timeOnce(session: Session, feeds: Feeds): Promise<number> {
  const started = performance.now();
  await session.run(feeds);
  return performance.now() - started;
}

/** Rounds of which the second smallest and the second largest enclose the median with 95 % confidence. */
const ROUNDS = 9;
/** Models that take longer than this to load are loaded once for all rounds. */
const LONGEST_LOAD_MS = 1000;
/** Runs before measuring take no longer than this, beyond the first two. */
const LONGEST_WARM_UP_MS = 200;

/**
 * Latency of batch 1 in ONNX Runtime for Node, of several models by turns: whatever else the machine does meanwhile hits
 * all of them alike. In rounds, each with sessions of its own, as where a session's memory happens to lie makes a
 * difference, too.
 * @throws PenniError "shape" if an input's dimensions are not fixed, "bad-model" if a model does not run.
 */
export async function measureLatency(
  given: readonly Graph[],
  { runs = 50, warmup = 10, threads }: LatencySettings = {},
): Promise<readonly Latency[]> {
  const models = given.map(float32Interface);
  const feeds = models.map(sampleFeeds);
  const times: number[][][] = models.map(() => []);
  const rounds = Math.max(1, Math.min(ROUNDS, runs));
  let sessions: readonly Session[] = [];
  let isQuick = true;
  try {
    for (let round = 0; round < rounds; round++) {
      if (isQuick) {
        await releaseAll(sessions);
        sessions = [];
        const started = performance.now();
        sessions = await openAll(models, threads);
        isQuick = performance.now() - started < LONGEST_LOAD_MS;
        for (const [index, session] of sessions.entries()) await warmUp(session, at(feeds, index), warmup);
      }
      for (const own of times) own.push([]);
      const count = Math.ceil((runs - round) / rounds);
      for (let run = 0; run < count; run++) {
        for (const [index, session] of sessions.entries())
          last(at(times, index)).push(await timeOnce(session, at(feeds, index)));
      }
    }
  } finally {
    await releaseAll(sessions);
  }
  return times.map(spreadOf);
}

async function openAll(models: readonly Graph[], threads: number | undefined): Promise<readonly Session[]> {
  const sessions: Session[] = [];
  try {
    for (const model of models) {
      // The bytes that the last session was loaded from, as many as the network has.
      collectGrownGarbage();
      sessions.push(await openSession(model, threads === undefined ? {} : { threads }));
    }
    return sessions;
  } catch (error) {
    await releaseAll(sessions);
    throw error;
  }
}

async function releaseAll(sessions: readonly Session[]): Promise<void> {
  for (const session of sessions) await session.release();
}

async function warmUp(session: Session, feeds: Feeds, runs: number): Promise<void> {
  const started = performance.now();
  for (let run = 0; run < runs; run++) {
    if (run >= 2 && performance.now() - started > LONGEST_WARM_UP_MS) return;
    await timeOnce(session, feeds);
  }
}
