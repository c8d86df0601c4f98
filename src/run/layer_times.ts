import { z } from "zod";
import { firstOf } from "../graph/operands.js";
import type { Graph } from "../graph/types.js";
import { measureLayerTimes } from "../measure/layer_times.js";
import type { RunDirectory } from "./directory.js";

/** How long each layer takes, compiled, before and after. */
export const LAYER_TIMES = "layer-times.json";

const networkSchema = z.object({
  wholeMs: z.number().min(0),
  layers: z.array(z.object({ name: z.string(), ms: z.number() })).readonly(),
});

/** `layer-times.json`, written when a run is over. */
export const layerTimesSchema = z.object({ original: networkSchema, compressed: networkSchema });

export type LayerTimesRecord = z.infer<typeof layerTimesSchema>;

/** In multiply-accumulates: in smaller networks reading the clock takes as long as a layer. */
const SMALLEST_MEASURED = 1e6;

/**
 * Writes `layer-times.json`, where both networks can be compiled and the original is large enough.
 * @param executedMacs of the original
 */
export async function recordLayerTimes(
  run: Pick<RunDirectory, "writeJson">,
  original: Graph,
  compressed: Graph,
  { executedMacs, measuringMs }: { readonly executedMacs: number; readonly measuringMs?: number },
): Promise<void> {
  if (executedMacs < SMALLEST_MEASURED) return;
  const times = await measureLayerTimes([original, compressed], measuringMs);
  if (times === undefined) return;
  const [before, after] = firstOf(times, 2);
  await run.writeJson(LAYER_TIMES, { original: before, compressed: after } satisfies LayerTimesRecord);
}
