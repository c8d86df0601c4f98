import { z } from "zod";
import { type Dataset, labelsOf, type Split } from "../data/dataset.js";
import { pngOfImage } from "../data/picture_png.js";
import { at } from "../graph/at.js";
import type { RunDirectory } from "./directory.js";

/** The test images whose answer changed. */
export const ANSWERS = "answers.json";

/** What became of an answer: right before and wrong now, the other way round, or wrong both times. */
const outcomes = ["lost", "gained", "other"] as const;

/** Images of each outcome that are kept with their picture. */
const KEPT = { lost: 18, gained: 6, other: 6 } as const;

/** `answers.json`, written when a run is over: so that a report can be made where the images are not. */
export const answersSchema = z.object({
  /** Test images in all. */
  images: z.number().int().min(0),
  /** How many answers changed, by what became of them. */
  counts: z.object({ lost: z.number(), gained: z.number(), other: z.number() }),
  /** The first ones of each outcome. Classes are names, or numbers where there are none. */
  examples: z.array(
    z.object({
      index: z.number().int().min(0),
      outcome: z.enum(outcomes),
      label: z.string(),
      before: z.string(),
      after: z.string(),
      /** A picture of at most 96 pixels a side, in base64. */
      png: z.base64(),
    }),
  ),
});

export type Answers = z.infer<typeof answersSchema>;

type Outcome = (typeof outcomes)[number];

/**
 * Writes `answers.json`.
 * @param before the class that the original answers for each test image, -1 where it has none
 * @param after the same of the compressed network
 */
export async function recordAnswers(
  run: Pick<RunDirectory, "writeJson">,
  dataset: Dataset,
  before: Int32Array,
  after: Int32Array,
): Promise<void> {
  const split = await dataset.test();
  await run.writeJson(ANSWERS, await changedAnswers(split, dataset.classNames, before, after));
}

async function changedAnswers(
  split: Split,
  classNames: readonly string[] | undefined,
  before: Int32Array,
  after: Int32Array,
): Promise<Answers> {
  const labels = labelsOf(split);
  const counts = { lost: 0, gained: 0, other: 0 };
  const examples: Answers["examples"] = [];
  const name = (answer: number): string => (answer < 0 ? "none" : (classNames?.[answer] ?? `${answer}`));
  for (const [index, label] of labels.entries()) {
    const [first, second] = [at(before, index), at(after, index)];
    if (first === second) continue;
    const outcome = outcomeOf(label, first, second);
    counts[outcome] += 1;
    if (counts[outcome] > KEPT[outcome]) continue;
    const answers = { label: name(label), before: name(first), after: name(second) };
    const png = (await pngOfImage(split, index)).toString("base64");
    examples.push({ index, outcome, ...answers, png });
  }
  return { images: split.count, counts, examples };
}

function outcomeOf(label: number, before: number, after: number): Outcome {
  if (before === label) return "lost";
  return after === label ? "gained" : "other";
}
