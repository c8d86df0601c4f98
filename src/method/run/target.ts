import type { Graph } from "../../graph/types.js";
import { findDecompositions } from "../../ops/weights.js";
import { importForCompression } from "../import_for_compression.js";
import type { RunConfig } from "./config.js";
import { fileCounts } from "./outcome.js";

const shown = (value: number): string => value.toLocaleString("en-US");

/** What a run's target is a fraction of, and what becomes of layers that came in decomposed. */
export function describeTarget(
  { settings }: Pick<RunConfig, "settings">,
  original: Graph,
): readonly string[] {
  const { prune, start } = settings;
  if (prune.rule !== "macs") return [];
  const { paperMacs } = fileCounts(original);
  const target = `target: ${Number((100 * prune.fraction).toFixed(4))} % of the ${shown(paperMacs)} multiply-accumulates (paper count) of the network that came in, ${shown(Math.floor(prune.fraction * paperMacs))}`;
  const own = findDecompositions(importForCompression(original)).length;
  if (own === 0) return [target];
  const layers = own === 1 ? "1 layer is decomposed already" : `${own} layers are decomposed already`;
  const bases =
    start === "calibrate"
      ? "they go on from their bases or get new ones, whatever costs less"
      : "they keep their bases, of which kernels go that are worth less than they cost";
  return [`${target}; not of what it was once made from`, `${layers}: ${bases}`];
}
