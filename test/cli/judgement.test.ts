import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeJudgement, describeSummary } from "../../src/cli/compress_text.js";
import { type Change, pairedDifference } from "../../src/measure/interval.js";
import type { OutputAgreement } from "../../src/measure/output_comparison.js";
import { type JudgementLevel, judge } from "../../src/report/judgement.js";
import type { Figures, Summary } from "../../src/run/summary.js";

const figures = (bytes: number, test?: Figures["test"]): Figures => ({
  parameters: 1000,
  paperMacs: 1000,
  executedMacs: 1000,
  bytes,
  latencyMs: 1,
  ...(test === undefined ? {} : { test }),
});

const change = (value: number, differs: boolean): Change => ({
  value,
  low: value - 0.01,
  high: value + 0.01,
  differs,
});

function withOutputs(outputs: readonly OutputAgreement[], bytes = 400_000, images = 1000): Summary {
  return {
    original: figures(1_000_000),
    compressed: figures(bytes),
    agreement: { images, outputs },
    changes: { latency: change(1, false) },
    model: "run/model.onnx",
  };
}

/** Boxes of which so many are found by both, of how many, in how many images. */
const found = (both: number, answers: number, images: number): Summary =>
  withOutputs([{ output: "boxes", error: 0.2, overlap: both / answers, answers }], 400_000, images);

function withFewLabels(gained: number, lost: number, total: number): Summary {
  const [before, after] = [total / 2, total / 2 + gained - lost];
  const summary = withLabels(before, after, { total, classes: 10 });
  return { ...summary, changes: { latency: change(0.5, true), test: pairedDifference(gained, lost, total) } };
}

function withLabels(before: number, after: number, { total = 10_000, classes = 2 } = {}): Summary {
  return {
    original: figures(1_000_000, { correct: before, total, classes }),
    compressed: figures(400_000, { correct: after, total, classes }),
    changes: { latency: change(0.5, true), test: change((after - before) / total, before !== after) },
    model: "run/model.onnx",
  };
}

const boxes = (error: number | null): OutputAgreement => ({ output: "boxes", error });
const classes = (sameClass: number): OutputAgreement => ({
  output: "scores",
  error: 0.2,
  sameClass,
  classOf: "image",
});

const cases: readonly (readonly [what: string, summary: Summary, level: JudgementLevel, said: RegExp])[] = [
  ["an error of 176 %", withOutputs([boxes(1.76)]), "poor", /Not to be used yet.* off by at most 176\.0 %/],
  ["an output that is not finite", withOutputs([boxes(null)]), "poor", /Not to be used yet.*not finite/],
  ["a middling error", withOutputs([boxes(0.2)]), "fair", /training longer/],
  ["a small error", withOutputs([boxes(0.02)]), "good", /^Ready to use, if .* 2\.5x smaller/],
  ["the same answers", withOutputs([classes(1)]), "good", /^Ready to use\. /],
  [
    "other boxes, with what to do about it",
    withOutputs([{ output: "boxes", error: 0.2, overlap: 0.85 }]),
    "poor",
    /Not to be used yet.*Of what either network finds, 85\.0 % is found by both on .* \(a higher --target-macs, or --max-loss\)/,
  ],
  ["other answers", withOutputs([classes(0.5)]), "poor", /Not to be used yet.*50\.0 % of the answers/],
  [
    "good answers beside boxes that are far off",
    withOutputs([classes(0.995), boxes(1.76)]),
    "poor",
    /Not to be used yet.*99\.5 % of the answers.*without answers are off by at most 176\.0 %/,
  ],
  [
    "good answers beside an output that is not finite",
    withOutputs([classes(1), boxes(null)]),
    "poor",
    /Not to be used yet.*not finite/,
  ],
  [
    "other answers beside good boxes",
    withOutputs([boxes(0.001), classes(0.9)]),
    "poor",
    /Not to be used yet.*90\.0 % of the answers/,
  ],
  [
    "smaller, but slower once compiled",
    { ...withOutputs([boxes(0)]), changes: { latency: change(1, false), compiled: change(1.4, true) } },
    "good",
    /It is 2\.5x smaller, but 1\.4x slower compiled to WebAssembly\. /,
  ],
  [
    "smaller, and slower within what chance does",
    { ...withOutputs([boxes(0)]), changes: { latency: change(1.2, false), compiled: change(1.02, true) } },
    "good",
    /It is 2\.5x smaller\. /,
  ],
  [
    "95 % of the boxes of a dozen images: nobody can tell",
    found(57, 60, 12),
    "open",
    /^Too few test images to say.* 95\.0 % is found by both \(95 % confidence: 84\.\d % to 98\.\d %\) on 12 test images\. About 25 test images would tell\. Run it with more pictures/,
  ],
  ["95 % of the boxes of a hundred images", found(475, 500, 100), "good", /^Ready to use, if the small loss/],
  ["93 % of them", found(465, 500, 100), "fair", /^Usable, but training longer/],
  [
    "60 % of the boxes of a dozen images",
    found(36, 60, 12),
    "poor",
    /^Not to be used yet.*to 7\d\.\d %\) on 12/,
  ],
  [
    "all boxes of one image, however many",
    found(80, 80, 1),
    "open",
    /^Too few.*on 1 test image\. About 4 test images/,
  ],
  [
    "all answers of a dozen images",
    withOutputs([classes(1)], 400_000, 12),
    "open",
    /About 130 test images would tell/,
  ],
  ["all answers of 200 images", withOutputs([classes(1)], 400_000, 200), "good", /^Ready to use\. /],
  [
    "boxes of a dozen images beside an output that is far off",
    withOutputs(
      [
        { output: "boxes", error: 0.2, overlap: 0.95, answers: 60 },
        { output: "z", error: 1 },
      ],
      400_000,
      12,
    ),
    "poor",
    /^Not to be used yet/,
  ],
  [
    "labels of a dozen images",
    withFewLabels(0, 0, 12),
    "open",
    /^Too few.*No change of accuracy was measured.* would tell/,
  ],
  ["labels of 100 images of which many changed", withFewLabels(1, 30, 100), "poor", /^Not to be used yet/],
  ["nothing gained", withOutputs([boxes(0)], 1_000_000), "poor", /Not worth using: nothing was gained/],
  ["a large loss of top-1", withLabels(9000, 5000), "poor", /Not to be used yet.*Top-1 fell by 40\.00/],
  ["no loss of top-1", withLabels(9000, 9000), "good", /Ready to use\. It is .*2\.0x faster/],
  [
    "an original that guesses",
    withLabels(1003, 990, { classes: 10 }),
    "open",
    /^Not known: the original itself may be guessing\. It is right about 1,?003 of 10,?000 test images, with 10 classes: .*--classes FILE/,
  ],
  [
    "an original that guesses, and a result that has learned",
    withLabels(1003, 8000, { classes: 10 }),
    "good",
    /Ready to use/,
  ],
  ["a result that guesses", withLabels(9000, 1003, { classes: 10 }), "poor", /too much accuracy is lost/],
  ["an original of many classes", withLabels(1003, 1003, { classes: 100 }), "good", /Ready to use/],
];

describe("a compression ends, in the terminal as on its page, with whether to use the result:", () => {
  for (const [what, summary, level, said] of cases) {
    test(what, () => {
      const { headline, level: found } = judge(summary);
      assert.equal(found, level);
      const text = describeSummary(summary, 72);
      const inOneLine = text.replaceAll("\n", " ");
      assert.ok(inOneLine.includes(`${headline}. `), text);
      assert.match(describeJudgement(summary, 1000), said);
      // Signs that a terminal may not have are the page's own.
      assert.doesNotMatch(describeJudgement(summary, 1000), /[^ -~]/);
      assert.ok(text.split("\n").every((line) => line.length <= 72));
    });
  }
});
