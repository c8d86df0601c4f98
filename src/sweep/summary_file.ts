import { existsSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import type { Summary } from "../run/summary.js";
import { parseJson, readText } from "../run/texts.js";

const testSchema = z.looseObject({ correct: z.number().min(0), total: z.number().min(1) });

const figuresSchema = z.looseObject({
  parameters: z.number(),
  paperMacs: z.number(),
  executedMacs: z.number(),
  bytes: z.number(),
  latencyMs: z.number(),
  compiledMs: z.number().optional(),
  test: testSchema.optional(),
});

/** What a sweep reads of a summary; the rest is kept as it is. */
const readPart = z.looseObject({
  original: figuresSchema,
  compressed: figuresSchema,
  agreement: z
    .looseObject({
      outputs: z.array(
        z.looseObject({
          error: z.number().nullable(),
          sameClass: z.number().optional(),
          overlap: z.number().optional(),
        }),
      ),
    })
    .optional(),
  model: z.string(),
});

export const summarySchema = z.custom<Summary>((value) => readPart.safeParse(value).success, {
  message: "expected a summary of a compression",
});

/** The summary of a run that has ended; undefined where there is none that can be read. */
export async function readSummary(root: string): Promise<Summary | undefined> {
  const file = path.join(root, "summary.json");
  return existsSync(file) ? summaryIn(await readText(file)) : undefined;
}

/** What a `summary.json` says; undefined of one that is none of a compression. */
export function summaryIn(text: string): Summary | undefined {
  return summarySchema.safeParse(parseJson(text)).data;
}
