import type { Graph } from "../../graph/types.js";
import { importForCompression } from "../../method/import_for_compression.js";
import { hasNormalization } from "../../method/insert_normalization.js";
import { hasTraining } from "../config.js";
import type { RunContext } from "../context.js";
import { withNormalization } from "./moments.js";
import { defineStage } from "./stage.js";

export const simplify = defineStage({
  takes: [],
  // Not the original as it came: a fixed batch in its reshapes would not fit the batch of the training.
  gives: ({ teacher }) => ["imported", ...(teacher === undefined ? (["teacher"] as const) : [])],
  apply: (graph) => importForCompression(graph),
});

/** Gives a network without normalisations some, with the statistics of its convolutions on a few training images. */
export const normalize = defineStage({
  takes: ["imported"],
  gives: () => ["normalized", "whole"],
  apply: normalizeStage,
});

async function normalizeStage(graph: Graph, context: Pick<RunContext, "run" | "dataset">): Promise<Graph> {
  const { settings } = context.run.config;
  if (hasNormalization(graph) || settings.batchNormalization !== "insert" || !hasTraining(settings))
    return graph;
  return withNormalization(graph, context);
}
