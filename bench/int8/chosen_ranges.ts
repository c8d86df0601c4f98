import { entryOf } from "../../src/graph/at.js";
import type { Graph } from "../../src/graph/types.js";
import { runPair, scores } from "../../src/measure/pair.js";
import type { MeasuredImages } from "../../src/measure/run_on_images.js";
import { quantizeStatically } from "./quantize.js";
import { histogramsOf, rangeRules } from "./ranges.js";

/** A network as INT8, with ranges by the rule that was best on images that the ranges were not made of. */
export interface Int8Network {
  readonly graph: Graph;
  readonly rule: string;
  /** Of each rule: root mean square error of the outputs, over that of the outputs themselves. */
  readonly errors: Readonly<Record<string, number>>;
}

/**
 * @param calibration images that ranges are made of
 * @param heldOut images that rules are judged on
 */
export async function asInt8(
  graph: Graph,
  calibration: MeasuredImages,
  heldOut: MeasuredImages,
): Promise<Int8Network> {
  const histograms = await histogramsOf(graph, calibration);
  const candidates = new Map<string, Graph>();
  const errors: Record<string, number> = {};
  for (const [rule, rangeOf] of Object.entries(rangeRules)) {
    const ranges = new Map([...histograms].map(([name, histogram]) => [name, rangeOf(histogram)]));
    const candidate = quantizeStatically(graph, ranges);
    candidates.set(rule, candidate);
    errors[rule] = await outputError(graph, candidate, heldOut);
  }
  const [[rule] = [""]] = Object.entries(errors).sort(([, a], [, b]) => a - b);
  return { graph: entryOf(candidates, rule), rule, errors };
}

async function outputError(first: Graph, second: Graph, images: MeasuredImages): Promise<number> {
  const outputs = first.outputs.map(({ name }) => name);
  let [differences, squares] = [0, 0];
  for await (const batch of runPair({ first, second, ...images }, outputs)) {
    for (const output of outputs) {
      const [a, b] = [scores(batch.first, output, batch), scores(batch.second, output, batch)];
      a.forEach((value, at) => {
        differences += (value - Number(b[at])) ** 2;
        squares += value ** 2;
      });
    }
  }
  return Math.sqrt(differences / squares);
}
