import { z } from "zod";
import { criteria } from "../criteria/table.js";
import { lossMeasures, sizedFiles } from "./names.js";

/** What decides which coefficients go: a criterion, or a goal, for which the fraction of MACs is searched. */
export const pruneSchema = z.discriminatedUnion("rule", [
  /** The largest fraction of MACs whose file has at most so many bytes. */
  z.object({ rule: z.literal("size"), bytes: z.number().int().min(1), file: z.enum(sizedFiles) }),
  /** The largest fraction of MACs with which one image takes at most so long, compiled to WebAssembly, one thread. */
  z.object({ rule: z.literal("latency"), milliseconds: z.number().positive() }),
  /**
   * The smallest fraction of MACs that loses at most so much on held-out images: points of top-1 (of 100) against the
   * original's, or a share of the original's deviation from image to image.
   */
  z.object({ rule: z.literal("loss"), measure: z.enum(lossMeasures), most: z.number().min(0) }),
  ...criteria.map(({ schema }) => schema),
]);

export type PruneRule = z.infer<typeof pruneSchema>;

/** A fraction of multiply-accumulates that was tried for a goal, and what came of it. */
export const trySchema = z
  .object({
    /** Of the original's multiply-accumulates (paper count); in (0, 1]. */
    fraction: z.number().gt(0).max(1),
    /** In the goal's unit: bytes, milliseconds (the median), points or a share. */
    value: z.number(),
    /** Where the true value lies with 95 % confidence, where it is measured and not counted. */
    low: z.number().optional(),
    high: z.number().optional(),
    /** Bytes of the result's file. */
    bytes: z.number().int(),
    /** Whether the goal is reached. */
    holds: z.boolean(),
  })
  .readonly();

export type Try = z.infer<typeof trySchema>;
