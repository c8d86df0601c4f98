import { z } from "zod";
import type { StageName } from "../run/stages/names.js";
import { metricNames } from "./metrics.js";

/** A stretch of numbers that is searched, both ends included. */
export const rangeSchema = z
  .strictObject({
    min: z.number().describe("the smallest value"),
    max: z.number().describe("the largest value"),
    log: z.boolean().optional().describe("equal ratios are equally likely: for rates and strengths"),
    integer: z.boolean().optional().describe("whole numbers only"),
  })
  .refine(({ min, max }) => min < max, { message: "expected max above min" })
  .refine(({ min, log = false }) => !log || min > 0, { message: "expected min above 0, as log is true" })
  .refine(({ min, max, integer = false }) => !integer || (Number.isInteger(min) && Number.isInteger(max)), {
    message: "expected whole numbers as min and max, as integer is true",
  });

const valueSchema = z.union([z.string(), z.number(), z.boolean()]);

export const axisSchema = z.union([z.array(valueSchema).min(1), rangeSchema]);

/** What a setting goes through: a list of values, or a range. */
export type Axis = z.infer<typeof axisSchema>;
export type Range = z.infer<typeof rangeSchema>;

const LARGEST_SWEEP = 100_000;

export const searchSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("grid").describe("every combination of lists") }),
  z.strictObject({
    kind: z
      .enum(["random", "halton", "tpe"])
      .describe(
        "independent draws, points that fill the space evenly, or a model of what was good so far (a Parzen estimator for several objectives)",
      ),
    trials: z.int().min(1).max(LARGEST_SWEEP).describe("how many runs"),
    seed: z.int().min(0).default(0).describe("of the search; the runs' own is a setting"),
    objectives: z
      .array(z.enum(metricNames))
      .min(1)
      .max(3)
      .refine((names) => new Set(names).size === names.length, { message: "expected each objective once" })
      .default(["quality", "macs"])
      .describe("what is weighed against each other"),
  }),
]);

export type SearchSpec = z.infer<typeof searchSchema>;

/** Stages whose epochs can be rungs. */
const judgedStages = ["recover", "retrain", "fine-tune"] as const satisfies readonly StageName[];

export const halvingSchema = z.strictObject({
  rungs: z
    .array(z.number().positive())
    .min(1)
    .max(32)
    .refine((rungs) => rungs.every((rung, index) => index === 0 || rung > (rungs[index - 1] ?? rung)), {
      message: "expected epochs that rise",
    })
    .describe("epochs after which a run is judged, rising"),
  reductionFactor: z.number().min(1.5).max(100).describe("of so many runs that came to a rung one goes on"),
  stage: z.enum(judgedStages).default("retrain").describe("the training whose epochs these are"),
});

/** Asynchronous successive halving: where runs are judged, and how few go on. */
export type Halving = z.infer<typeof halvingSchema>;

const settingsSchema = z.record(z.string(), z.unknown());

/** A sweep as it is kept in its directory: checked, with absolute paths. */
export const sweepSpecSchema = z.strictObject({
  base: settingsSchema,
  axes: z.record(z.string(), axisSchema),
  search: searchSchema,
  halving: halvingSchema.optional(),
});

export type SweepSpec = z.infer<typeof sweepSpecSchema>;

/** How many trials a grid has. */
export function gridSize(axes: SweepSpec["axes"]): number {
  return Object.values(axes).reduce((size, axis) => size * (Array.isArray(axis) ? axis.length : 1), 1);
}

export const isTooLarge = (size: number): boolean => size > LARGEST_SWEEP;
