import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Box,
  type BoxModel,
  boxesIn,
  boxProblem,
  hasBoxes,
  placeBoxes,
} from "../../src/runtime/boxes.js";
import { type Fit, imageLevels } from "../../src/runtime/index.js";

/** A detector of 64 rows and 96 columns of pixels; only what is said of it counts. */
function detector(
  dims: readonly (readonly number[])[],
  classNames: readonly string[],
  fit: Fit,
  outputs: readonly string[] = [],
): BoxModel {
  return {
    inputs: [{ name: "x", dims: [1, 3, 64, 96], type: "float32" }],
    outputs: dims.map((each, index) => ({
      name: outputs[index] ?? `y${index}`,
      dims: each,
      type: "float32",
    })),
    classNames,
    fit,
  };
}

/** Centre, size and class of what is to be found, in pixels of the model. */
interface Thing {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly index: number;
  readonly score: number;
}

const names = ["cat", "dog", "owl"];
const BOXES = 12;
const things: readonly Thing[] = [
  { x: 20, y: 30, width: 10, height: 16, index: 2, score: 0.9 },
  { x: 60, y: 40, width: 24, height: 12, index: 0, score: 0.6 },
  // The second one once more, less certain and a little moved, and as another class.
  { x: 61, y: 40, width: 24, height: 12, index: 0, score: 0.5 },
  { x: 60, y: 40, width: 24, height: 12, index: 1, score: 0.4 },
  // Too uncertain.
  { x: 30, y: 10, width: 8, height: 8, index: 1, score: 0.2 },
];

/** Boxes nobody is certain of, so that an output covers the picture as those of detectors do. */
const all = (list: readonly Thing[]): readonly Thing[] =>
  Array.from({ length: BOXES }, (_, at) => {
    return list[at] ?? { x: 8 * at, y: 5 * at, width: 9, height: 9, index: 0, score: 0 };
  });

const scoresOf = ({ index, score }: Thing, share = 1): readonly number[] =>
  names.map((_, each) => (each === index ? score / share : 0.01));

type Numbers = (list: readonly Thing[]) => Float32Array | Readonly<Record<string, Float32Array>>;

const centred = ({ x, y, width, height }: Thing): readonly number[] => [x, y, width, height];
const corners = ({ x, y, width, height }: Thing): readonly number[] => [
  x - width / 2,
  y - height / 2,
  x + width / 2,
  y + height / 2,
];

const numbersOf = (rows: readonly (readonly number[])[]): Float32Array => Float32Array.from(rows.flat());

/** Columns where there were rows. */
const turned = (rows: readonly (readonly number[])[]): Float32Array =>
  numbersOf((rows[0] ?? []).map((_, column) => rows.map((row) => row[column] ?? Number.NaN)));

/** With the background's: nearly all of what is no thing. */
const withBackground = (one: Thing, isFirst: boolean): readonly number[] => {
  const background = 1 - one.score;
  return isFirst ? [background, ...scoresOf(one)] : [...scoresOf(one), background];
};

/** What the models of each form give for the same things. */
const forms: Readonly<
  Record<
    string,
    {
      readonly dims: readonly (readonly number[])[];
      readonly outputs?: readonly string[];
      readonly numbers: Numbers;
    }
  >
> = {
  "rows without a certainty": {
    dims: [[1, BOXES, 4 + names.length]],
    numbers: (list) => numbersOf(all(list).map((one) => [...centred(one), ...scoresOf(one)])),
  },
  "rows of corners": {
    dims: [[1, BOXES, 4 + names.length]],
    numbers: (list) => numbersOf(all(list).map((one) => [...corners(one), ...scoresOf(one)])),
  },
  "corners, and scores beside them": {
    dims: [
      [1, BOXES, 4],
      [1, BOXES, names.length],
    ],
    numbers: (list) => ({
      y0: numbersOf(all(list).map(corners)),
      y1: numbersOf(all(list).map((one) => scoresOf(one))),
    }),
  },
  "scores and the background's before centres": {
    dims: [
      [1, BOXES, 1 + names.length],
      [1, BOXES, 1, 4],
    ],
    // Four columns each: names tell which are boxes.
    outputs: ["confidences", "boxes"],
    numbers: (list) => ({
      confidences: numbersOf(all(list).map((one) => withBackground(one, true))),
      boxes: numbersOf(all(list).map(centred)),
    }),
  },
  "columns of scores, the background's last": {
    dims: [
      [1, 1 + names.length, BOXES],
      [1, BOXES, 4],
    ],
    numbers: (list) => ({
      y0: turned(all(list).map((one) => withBackground(one, false))),
      y1: numbersOf(all(list).map(corners)),
    }),
  },
  "YOLO since version 8": {
    dims: [[1, 4 + names.length, BOXES]],
    numbers: (list) => {
      const rows = all(list).map((one) => [one.x, one.y, one.width, one.height, ...scoresOf(one)]);
      return Float32Array.from({ length: rows.length * 7 }, (_, at) => {
        return rows[at % BOXES]?.[Math.floor(at / BOXES)] ?? Number.NaN;
      });
    },
  },
  YOLOv5: {
    dims: [[1, BOXES, 5 + names.length]],
    numbers: (list) =>
      Float32Array.from(
        all(list).flatMap((one) => [one.x, one.y, one.width, one.height, 0.95, ...scoresOf(one, 0.95)]),
      ),
  },
  "boxes that were chosen": {
    dims: [[1, BOXES, 6]],
    numbers: (list) =>
      Float32Array.from(
        all(list).flatMap(({ x, y, width, height, index, score }) => {
          return [x - width / 2, y - height / 2, x + width / 2, y + height / 2, score, index];
        }),
      ),
  },
};

const rounded = ({ name, score, left, top, width, height }: Box): readonly (string | number)[] => [
  name,
  ...[score, left, top, width, height].map((value) => Math.round(1000 * value) / 1000),
];

describe("boxes of a picture as large as the model", () => {
  const size = { width: 96, height: 64 };
  for (const [form, { dims, outputs, numbers }] of Object.entries(forms)) {
    test(`${form}: the most certain first, without doubles of a class`, () => {
      const model = detector(dims, names, { resize: "letterbox" }, outputs);
      assert.ok(hasBoxes(model));
      const found = boxesIn(model, numbers(things), size).map(rounded);
      const expected = [
        ["owl", 0.9, 15, 22, 10, 16],
        ["cat", 0.6, 48, 34, 24, 12],
        ["dog", 0.4, 48, 34, 24, 12],
      ];
      // Whoever has chosen already is not corrected.
      const doubled = ["cat", 0.5, 49, 34, 24, 12];
      const isChosen = dims[0]?.[2] === 6;
      assert.deepEqual(found, isChosen ? expected.toSpliced(2, 0, doubled) : expected);
    });

    test(`${form}: in shares of the model's sides`, () => {
      const model = detector(dims, names, { resize: "stretch" }, outputs);
      const inShares = (one: Thing): Thing => {
        return { ...one, x: one.x / 96, y: one.y / 64, width: one.width / 96, height: one.height / 64 };
      };
      const shares = numbers(all(things).map(inShares));
      assert.deepEqual(
        boxesIn(model, shares, size).map(rounded),
        boxesIn(model, numbers(things), size).map(rounded),
      );
    });
  }

  test("options: the least score, and what counts as the same", () => {
    const { dims, numbers } = forms["YOLO since version 8"] ?? assert.fail();
    const model = detector(dims, names, {});
    const count = (options: object): number => boxesIn(model, numbers(things), size, options).length;
    assert.equal(count({ leastScore: 0.65 }), 1);
    assert.equal(count({ leastScore: 0.1 }), 4);
    assert.equal(count({ mostOverlap: 0.99 }), 4);
    assert.deepEqual(boxesIn(model, numbers([]), size), []);
  });

  test("one class: a certainty and a score are told from a score and a class", () => {
    const model = detector([[1, 2, 6]], ["face"], {});
    const scored = Float32Array.of(20, 30, 10, 16, 0.9, 0.8, 50, 30, 10, 16, 0.9, 0.1);
    assert.deepEqual(boxesIn(model, scored, size).map(rounded), [["face", 0.72, 15, 22, 10, 16]]);
    const chosen = Float32Array.of(15, 22, 25, 38, 0.9, 0, 0, 0, 0, 0, 0, 0);
    assert.deepEqual(boxesIn(model, chosen, size).map(rounded), [["face", 0.9, 15, 22, 10, 16]]);
  });

  test("masks behind the scores are passed over", () => {
    const model = detector(
      [
        [1, 4 + 1 + 32, 2],
        [1, 32, 16, 24],
      ],
      ["face"],
      {},
    );
    const boxes = Float32Array.of(20, 50, 30, 30, 10, 10, 16, 16, 0.9, 0.1, ...new Array<number>(64).fill(7));
    const output = { y0: boxes, y1: new Float32Array(32 * 16 * 24) };
    assert.deepEqual(boxesIn(model, output, size).map(rounded), [["face", 0.9, 15, 22, 10, 16]]);
  });
});

/** Where a white picture on a black frame begins and ends in the model's input; a picture that is cut has no frame. */
function frameOf(width: number, height: number): readonly number[] {
  const image = { width, height, data: new Uint8Array(4 * width * height).fill(255) };
  const levels = imageLevels(image, [1, 64, 96], { resize: "letterbox", pad: [0, 0, 0] });
  const white = [...levels.keys()].filter((place) => levels[place] === 255);
  const [columns, rows] = [white.map((place) => place % 96), white.map((place) => Math.floor(place / 96))];
  return [Math.min(...columns), Math.min(...rows), Math.max(...columns) + 1, Math.max(...rows) + 1];
}

describe("boxes of pictures of other sizes are in their pixels", () => {
  const { dims, numbers } = forms["boxes that were chosen"] ?? assert.fail();
  const boxOf = (edges: readonly number[]): Thing => {
    const [left = 0, top = 0, right = 0, bottom = 0] = edges;
    const [width, height] = [right - left, bottom - top];
    return { x: left + width / 2, y: top + height / 2, width, height, index: 1, score: 0.8 };
  };

  for (const [width, height] of [
    [640, 480],
    [480, 640],
    [1000, 31],
    [7, 500],
    [96, 64],
    [95, 65],
  ] as const) {
    test(`${width} x ${height}: what fills the picture in the model's input fills the picture`, () => {
      const model = detector(dims, names, { resize: "letterbox" });
      const [box, ...more] = boxesIn(model, numbers([boxOf(frameOf(width, height))]), { width, height });
      assert.deepEqual(more, []);
      assert.deepEqual(box && rounded(box), ["dog", 0.8, 0, 0, width, height]);
    });
  }

  test("stretched, cut, and cut out of the middle", () => {
    const half = numbers([boxOf([24, 16, 72, 48])]);
    const found = (fit: Fit, width: number, height: number) =>
      boxesIn(detector(dims, names, fit), half, { width, height }).map((box) => rounded(box).slice(2));
    assert.deepEqual(found({ resize: "stretch" }, 192, 640), [[48, 160, 96, 320]]);
    // The middle 192 x 128 of 400 x 128 is seen.
    assert.deepEqual(found({ resize: "cover" }, 400, 128), [[104 + 48, 32, 96, 64]]);
    assert.deepEqual(found({}, 192, 328), [[48, 100 + 32, 96, 64]]);
    // Half of the sides is seen: what takes half of that takes a quarter.
    assert.deepEqual(found({ resize: "stretch", crop: 0.5 }, 192, 640), [[72, 240, 48, 160]]);
    assert.deepEqual(found({ crop: 0.5 }, 192, 128), [[72, 48, 48, 32]]);
  });

  test("what sticks out is cut off, and what is outside is left out", () => {
    const model = detector(dims, names, { resize: "letterbox" });
    // A square picture lies in columns 16 to 80.
    const out = numbers([boxOf([0, 10, 32, 20]), boxOf([2, 2, 14, 60])]);
    assert.deepEqual(boxesIn(model, out, { width: 64, height: 64 }).map(rounded), [
      ["dog", 0.8, 0, 10, 16, 10],
    ]);
  });
});

test("what is no detector, or does not name its classes, is refused with what was found", () => {
  const others: readonly (readonly [readonly (readonly number[])[], readonly string[]])[] = [
    [[[1, 3]], names],
    [[[1, 8, 12]], names],
    [[[2, 7, 12]], names],
    [[[1, 7, 12]], []],
    [[[1, 7, 4, 4]], names],
    [
      [
        [1, 7, 12],
        [1, 3],
      ],
      names,
    ],
    [[], names],
  ];
  for (const [dims, classNames] of others) {
    const model = detector(dims, classNames, {});
    assert.equal(hasBoxes(model), false, `${dims}`);
    const problem = boxProblem(model) ?? assert.fail();
    for (const each of dims) assert.ok(problem.includes(`[${each.join(", ")}]`), problem);
    assert.match(
      problem,
      classNames.length === 0 ? /compile --classes FILE/ : /expected \[1, 7, N\] or .* placeBoxes/,
    );
    assert.throws(() => boxesIn(model, new Float32Array(84), { width: 9, height: 9 }), {
      name: "TypeError",
      message: `findBoxes: ${problem}`,
    });
  }
  assert.equal(boxProblem(detector([[1, 7, 12]], names, {})), undefined);
});

test("of two outputs that could be boxes, names tell which are; where these do not, none is", () => {
  const four = ["a", "b", "c", "d"];
  const dims = [1, BOXES, 4];
  const model = (first: string, second: string): BoxModel => ({
    ...detector([], four, {}),
    outputs: [first, second].map((name) => ({ name, dims, type: "float32" })),
  });
  assert.equal(hasBoxes(model("one", "two")), false);
  assert.match(
    boxProblem(model("one", "two")) ?? "",
    /Which of both are boxes, their names do not tell: call one "boxes"/,
  );
  assert.equal(hasBoxes(model("boxes", "box_scores")), false);
  const named = model("confidences", "locations");
  const confidences = numbersOf(all(things).map((one) => [...scoresOf(one), 0]));
  const output = { confidences, locations: numbersOf(all(things).map(centred)) };
  const [first] = boxesIn(named, output, { width: 96, height: 64 }).map(rounded);
  assert.deepEqual(first, ["c", 0.9, 15, 22, 10, 16]);
});

test("six numbers of two classes are scores, or a score and a class: classes are whole", () => {
  const model = detector([[1, BOXES, 6]], ["cat", "dog"], {});
  const size = { width: 96, height: 64 };
  const scored = numbersOf(all(things).map((one) => [...centred(one), ...scoresOf(one).slice(0, 2)]));
  assert.deepEqual(boxesIn(model, scored, size).map(rounded), [
    ["cat", 0.6, 48, 34, 24, 12],
    ["dog", 0.4, 48, 34, 24, 12],
  ]);
  const chosen = numbersOf(all(things).map((one) => [...corners(one), one.score, Math.min(one.index, 1)]));
  assert.equal(boxesIn(model, chosen, size).length, 4);
});

test("numbers that are no probabilities, or no boxes yet, are refused with what to do", () => {
  const model = detector(
    [
      [1, BOXES, 4],
      [1, BOXES, 3],
    ],
    names,
    {},
  );
  const size = { width: 96, height: 64 };
  const [y0, y1] = [numbersOf(all(things).map(centred)), numbersOf(all(things).map((one) => scoresOf(one)))];
  assert.throws(() => boxesIn(model, { y0, y1: y1.map((score) => 10 * score - 5) }, size), {
    name: "TypeError",
    message:
      /"y1" are no probabilities: expected 0 to 1, found -5\.00 to 4\.00\. Export the model with the sigmoid or softmax.*placeBoxes/,
  });
  assert.throws(() => boxesIn(model, { y0: y0.map((_, at) => Math.sin(at)), y1 }, size), {
    name: "TypeError",
    message: /negative sizes: .*not decoded yet.*placeBoxes/,
  });
  assert.throws(() => boxesIn(model, { y0 }, size), /expected values of output "y1", found none/);
});

test("boxes that were decoded elsewhere are placed as others are", () => {
  const model = detector([[1, 3, 8, 12]], names, { resize: "stretch" });
  const found = things.map(({ x, y, width, height, index, score }) => {
    return { left: x - width / 2, top: y - height / 2, width, height, index, score };
  });
  assert.deepEqual(placeBoxes(model, found.toReversed(), { width: 192, height: 64 }).map(rounded), [
    ["owl", 0.9, 30, 22, 20, 16],
    ["cat", 0.6, 96, 34, 48, 12],
    ["dog", 0.4, 96, 34, 48, 12],
  ]);
  assert.equal(
    placeBoxes(model, found, { width: 192, height: 64 }, { mostOverlap: 1, leastScore: 0 }).length,
    5,
  );
});
