import { z } from "zod";
import { goalNames } from "../../method/goal/names.js";
import { pruneSchema, trySchema } from "../../method/goal/schema.js";
import { outputAgreementSchema } from "../../train/outputs.js";

/** `summary.json` as a report reads it: what it does not use may be missing or be anything. */

const spreadSchema = z.object({ lowMs: z.number(), highMs: z.number(), runs: z.number() });

const testSchema = z.object({
  correct: z.number(),
  total: z.number().min(1),
  low: z.number().optional(),
  high: z.number().optional(),
  classes: z.number().min(1).optional(),
});

const figuresSchema = z.object({
  parameters: z.number(),
  paperMacs: z.number(),
  executedMacs: z.number(),
  bytes: z.number(),
  latencyMs: z.number(),
  latencySpread: spreadSchema.optional(),
  compiledMs: z.number().optional(),
  compiledSpread: spreadSchema.optional(),
  test: testSchema.optional(),
});

const changeSchema = z.object({
  value: z.number(),
  low: z.number(),
  high: z.number(),
  differs: z.boolean(),
});

const goalSchema = z.object({
  asked: pruneSchema.refine(({ rule }) => (goalNames as readonly string[]).includes(rule)),
  fraction: z.number(),
  reached: z.object({ value: z.number(), low: z.number().optional(), high: z.number().optional() }),
  isMet: z.boolean(),
  tries: z.array(trySchema),
});

export const outcomeSchema = z.object({
  original: figuresSchema,
  compressed: figuresSchema,
  agreement: z.object({ images: z.number(), outputs: z.array(outputAgreementSchema) }).optional(),
  changes: z
    .object({ latency: changeSchema, compiled: changeSchema.optional(), test: changeSchema.optional() })
    .optional(),
  goal: goalSchema.optional(),
});

/** What a compression has come to. */
export type Outcome = z.infer<typeof outcomeSchema>;
export type OutcomeFigures = z.infer<typeof figuresSchema>;
export type OutcomeTest = z.infer<typeof testSchema>;
export type OutcomeChange = z.infer<typeof changeSchema>;

/** What a training has come to. */
export const trainingOutcomeSchema = z.object({
  test: testSchema,
  validation: z.number().optional(),
  epochs: z.number(),
});

export type TrainingOutcome = z.infer<typeof trainingOutcomeSchema>;
