import { compileToWasm } from "../../compile/index.js";
import { wasmTarget } from "../../compile/wasm/target.js";
import { at } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { fixBatch } from "../../graph/passes/fix_input_shape.js";
import type { Graph } from "../../graph/types.js";
import { measureCompiledLatency, singleImage } from "../../measure/compiled_latency.js";
import { predictedLatency } from "../../measure/predicted_latency.js";
import { encodedSize, encodeModelWithData, isTooLarge } from "../../onnx/write.js";
import type { CostGoal } from "./rules.js";
import type { Try } from "./schema.js";

/** What a network costs in the unit of a goal, and the bytes of its file. */
export type Cost = Omit<Try, "fraction" | "holds">;

/** Bytes of all files that `writeModel` writes of a network with sparse weights. */
export function writtenBytes(graph: Graph, externalData: boolean = isTooLarge(graph)): number {
  if (!externalData) return encodedSize(graph, { sparse: true });
  const { model, data } = encodeModelWithData(graph, "model.onnx.data", { sparse: true });
  return [...data, model].reduce((sum, part) => sum + part.byteLength, 0);
}

/**
 * What a network costs as it is written.
 * @param original measured by turns with it, where times are measured: what disturbs one disturbs the other
 * @throws PenniError as `compileToWasm` if it must be compiled and cannot be
 */
export async function costOf(goal: CostGoal, written: Graph, bytes: number, original: Graph): Promise<Cost> {
  if (goal.rule === "size") return { value: goal.file === "onnx" ? bytes : wasmBytes(written), bytes };
  const times = await measureCompiledLatency([written, original]);
  if (times === undefined) {
    for (const graph of [written, original]) compileToWasm(singleImage(graph));
    throw new PenniError("internal", "a network that compiles was not timed");
  }
  const time = at(times, 0);
  return { value: time.medianMs, low: time.lowMs, high: time.highMs, bytes };
}

/** Bytes of the module that `penni compile --target wasm` makes of a network. */
export function wasmBytes(graph: Graph): number {
  return compileToWasm(graph).byteLength;
}

/**
 * What a decomposed network is expected to cost, in any unit that grows with the goal's: for the first guess. Undefined
 * where nothing is known but that costs grow with the multiply-accumulates.
 */
export function predictedCost(goal: CostGoal, graph: Graph): number | undefined {
  return goal.rule === "size" ? undefined : predictedLatency(fixBatch(graph, 1), wasmTarget);
}
