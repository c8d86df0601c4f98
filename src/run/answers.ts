import { z } from "zod";
import { type Dataset, labelsOf, type Split } from "../data/dataset.js";
import { pngOfImage } from "../data/picture_png.js";
import { at } from "../graph/at.js";
import type { RunDirectory } from "./directory.js";

/** The test images whose answer changed. */
export const ANSWERS = "answers.json";

/**
 * What became of an answer: right before and wrong now, the other way round, or wrong both times; without labels only that
 * it is another one.
 */
const outcomes = ["lost", "gained", "other", "changed"] as const;

/** Images of each outcome that are kept with their picture. */
const KEPT = { lost: 18, gained: 6, other: 6, changed: 24 } as const;

/** `answers.json`, written when a run is over: so that a report can be made where the images are not. */
export const answersSchema = z.object({
  /** Test images in all. */
  images: z.number().int().min(0),
  /** How many answers changed, by what became of them. */
  counts: z.object({
    lost: z.number(),
    gained: z.number(),
    other: z.number(),
    /** Where there are no labels: all of them. */
    changed: z.number().optional(),
  }),
  /** The first ones of each outcome. Classes are names, or numbers where there are none. */
  examples: z.array(
    z.object({
      index: z.number().int().min(0),
      outcome: z.enum(outcomes),
      /** Absent where there are no labels. */
      label: z.string().optional(),
      before: z.string(),
      after: z.string(),
      /** A picture of at most 96 pixels a side, in base64. */
      png: z.base64(),
    }),
  ),
});

export type Answers = z.infer<typeof answersSchema>;

type Outcome = (typeof outcomes)[number];

/** The class that a network answers for each test image, -1 where it has none. */
export interface TwoAnswers {
  readonly before: Int32Array;
  readonly after: Int32Array;
}

/** Writes `answers.json` of labelled images. */
export async function recordAnswers(
  run: Pick<RunDirectory, "writeJson">,
  dataset: Dataset,
  answers: TwoAnswers,
): Promise<void> {
  const split = await dataset.test();
  await run.writeJson(ANSWERS, await changedAnswers(split, answers, dataset.classNames, labelsOf(split)));
}

/** Writes `answers.json` of images without labels, or whose labels are not the network's classes. */
export async function recordChoices(
  run: Pick<RunDirectory, "writeJson">,
  split: Split,
  classNames: readonly string[] | undefined,
  answers: TwoAnswers,
): Promise<void> {
  await run.writeJson(ANSWERS, await changedAnswers(split, answers, classNames));
}

async function changedAnswers(
  split: Split,
  { before, after }: TwoAnswers,
  classNames: readonly string[] | undefined,
  labels?: Uint16Array,
): Promise<Answers> {
  const counts = { lost: 0, gained: 0, other: 0, changed: 0 };
  const examples: Answers["examples"] = [];
  const name = (answer: number): string => (answer < 0 ? "none" : (classNames?.[answer] ?? `${answer}`));
  for (const [index, first] of before.entries()) {
    const second = at(after, index);
    if (first === second) continue;
    const label = labels === undefined ? undefined : at(labels, index);
    const outcome = outcomeOf(label, first, second);
    counts[outcome] += 1;
    if (counts[outcome] > KEPT[outcome]) continue;
    const named = label === undefined ? {} : { label: name(label) };
    const png = (await pngOfImage(split, index)).toString("base64");
    examples.push({ index, outcome, ...named, before: name(first), after: name(second), png });
  }
  const { lost, gained, other } = counts;
  const kinds = labels === undefined ? counts : { lost, gained, other };
  return { images: split.count, counts: kinds, examples };
}

function outcomeOf(label: number | undefined, before: number, after: number): Outcome {
  if (label === undefined) return "changed";
  if (before === label) return "lost";
  return after === label ? "gained" : "other";
}
