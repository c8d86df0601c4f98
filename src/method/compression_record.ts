import { z } from "zod";
import { parseJson } from "../graph/json.js";
import type { Graph } from "../graph/types.js";
import type { WeightsType } from "../graph/weights_type.js";

/** The key of `metadata_props` under which a model carries its compression record as JSON. */
export const COMPRESSION_KEY = "penni.compression";

const recordSchema = z.looseObject({ weights: z.string() });

/** The model with the type that its weights have now in the record of its compression, if it carries one. */
export function withRecordedWeights(graph: Graph, type: WeightsType): Graph {
  const text = graph.metadata.get(COMPRESSION_KEY);
  const { data: record } = recordSchema.safeParse(text === undefined ? undefined : parseJson(text));
  if (record === undefined || record.weights === type) return graph;
  const written = JSON.stringify({ ...record, weights: type });
  return { ...graph, metadata: new Map(graph.metadata).set(COMPRESSION_KEY, written) };
}
