import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { compileToWasm } from "../../../src/compile/index.js";
import { int } from "../../../src/graph/attributes.js";
import {
  imagenetPreprocessing,
  PREPROCESSING_KEY,
  type Preprocessing,
} from "../../../src/graph/image_metadata.js";
import type { ElementType, Graph } from "../../../src/graph/types.js";
import { type ImageLike, load } from "../../../src/runtime/index.js";
import { node, smallGraph } from "../../../support/small_models.js";
import { randomData } from "../../runtime/support.js";
import {
  type Build,
  command,
  compileForC,
  inDirectory,
  NAME,
  SANITIZERS,
  skipOf,
  WARNINGS,
  withoutCommand,
} from "./support.js";
import "../self_checked.js";

/** Its scores are its input's elements. */
function flattening(
  dims: readonly number[],
  preprocessing: Preprocessing,
  elementType: ElementType = "float32",
): Graph {
  const nodes = [
    node("Cast", ["x"], "float", { to: int(1) }),
    node("Flatten", ["float"], "y", { axis: int(1) }),
  ];
  return {
    ...smallGraph(dims, nodes, {}),
    inputs: [{ name: "x", type: { elementType, shape: dims } }],
    metadata: new Map([[PREPROCESSING_KEY, JSON.stringify(preprocessing)]]),
  };
}

function picture(width: number, height: number): ImageLike {
  const data = Uint8Array.from(randomData(4 * width * height, width), (x) => 127.5 * (x + 1));
  for (let alpha = 3; alpha < data.length; alpha += 4) data[alpha] = 255;
  return { width, height, data };
}

/** Binary PPM. */
function ppm({ width, height, data }: ImageLike): Uint8Array {
  const header = Buffer.from(`P6\n${width} ${height}\n255\n`);
  return Buffer.concat([header, Uint8Array.from(data).filter((_, index) => index % 4 !== 3)]);
}

// The example's own reader, and what it read.
const DRIVER = `#define main example_main
#include "main.c"
#undef main

static float values[MANY];

int main(int count, char **arguments) {
  if (count != 2) return example_main(count, arguments);
  read_input(arguments[1], values, MANY);
  return fwrite(values, sizeof(float), MANY, stdout) == MANY ? 0 : 1;
}
`;

const plain = { ...imagenetPreprocessing, mean: [0, 0, 0], std: [1, 1, 1], scale: 1 };
const cases: readonly {
  readonly name: string;
  readonly dims: readonly number[];
  readonly preprocessing: Preprocessing;
  readonly elementType?: ElementType;
}[] = [
  { name: "planes, cut", dims: [1, 3, 20, 32], preprocessing: imagenetPreprocessing },
  {
    name: "pixel by pixel, blue first, stretched",
    dims: [1, 24, 16, 3],
    preprocessing: {
      ...imagenetPreprocessing,
      mean: [104, 117.5, 123],
      scale: 1,
      layout: "NHWC",
      colour: "bgr",
      resize: "stretch",
    },
  },
  {
    name: "grey",
    dims: [1, 1, 28, 28],
    preprocessing: { ...imagenetPreprocessing, mean: [0.1307], std: [0.3081] },
  },
  {
    name: "levels as they are",
    dims: [1, 9, 7, 3],
    preprocessing: { ...plain, layout: "NHWC" },
    elementType: "uint8",
  },
  {
    name: "whole, in a frame",
    dims: [1, 3, 20, 33],
    preprocessing: { ...imagenetPreprocessing, resize: "letterbox", pad: [114, 20, 255] },
  },
  {
    name: "grey, whole, in a frame, pixel by pixel",
    dims: [1, 31, 16, 1],
    preprocessing: {
      ...imagenetPreprocessing,
      mean: [0.1307],
      std: [0.3081],
      layout: "NHWC",
      resize: "letterbox",
      pad: [200, 100, 0],
    },
  },
  {
    name: "the middle of a cut one",
    dims: [1, 3, 20, 32],
    preprocessing: { ...imagenetPreprocessing, crop: 0.875 },
  },
  {
    name: "the middle of a stretched one",
    dims: [1, 3, 24, 16],
    preprocessing: { ...imagenetPreprocessing, resize: "stretch", crop: 0.333 },
  },
];

for (const { name, dims, preprocessing, elementType } of cases) {
  for (const compiler of ["gcc", "clang"]) {
    test(`main.c (${compiler}) reads pictures as the loader prepares them, to the bit: ${name}`, {
      skip: withoutCommand(compiler),
    }, async () => {
      const graph = flattening(dims, preprocessing, elementType);
      const model = await load(compileToWasm(graph));
      inDirectory(compileForC(graph), { example: true }, (directory) => {
        const count = dims.reduce((product, dim) => product * dim, 1);
        writeFileSync(path.join(directory, "driver.c"), DRIVER);
        const flags = WARNINGS.filter((flag) => flag !== "-Werror");
        const inputs = ["driver.c", `${NAME}.c`, "-lm", "-o", "driver"];
        command(directory, compiler, [...flags, "-O3", "-march=native", `-DMANY=${count}`, ...inputs]);
        for (const [width, height] of [
          [dims[3] ?? 1, dims[2] ?? 1],
          [1, 1],
          [3, 200],
          [333, 41],
          [640, 480],
          [97, 103],
        ] as const) {
          const image = picture(width, height);
          writeFileSync(path.join(directory, "image.ppm"), ppm(image));
          const bytes = new Uint8Array(command(directory, "./driver", ["image.ppm"]));
          assert.deepEqual(new Float32Array(bytes.buffer), model.prepare(image), `${width}x${height}`);
        }
      });
    });
  }
}

const leaks: Build = { compiler: "gcc", flags: [...WARNINGS, ...SANITIZERS, "-O1"] };

/** Where leaks cannot be looked for, a program that has one ends well. */
const seesLeaks = (): boolean =>
  spawnSync(
    "sh",
    [
      "-c",
      'cd "$(mktemp -d)" && gcc -fsanitize=address -x c - -o leak && ! ASAN_OPTIONS=detect_leaks=1 ./leak',
    ],
    {
      input: "#include <stdlib.h>\nint main(void) { volatile char *p = malloc(9); p = 0; return p != 0; }\n",
    },
  ).status === 0;

test("main.c gives back all memory that it took", {
  skip: skipOf(leaks) || (seesLeaks() ? false : "needs a sanitizer that finds leaks"),
}, () => {
  const graph = flattening([1, 3, 20, 32], { ...imagenetPreprocessing, resize: "letterbox", pad: [1, 2, 3] });
  for (const weights of ["inside", "binary"] as const) {
    inDirectory(compileForC(graph), { example: true, weights }, (directory) => {
      const sources = ["main.c", `${NAME}.c`, "-lm", "-o", "example"];
      command(directory, "gcc", [...leaks.flags, ...sources]);
      writeFileSync(path.join(directory, "image.ppm"), ppm(picture(97, 41)));
      writeFileSync(path.join(directory, "image.f32"), new Uint8Array(4 * 3 * 20 * 32));
      const more = weights === "binary" ? [`${NAME}_weights.bin`] : [];
      for (const file of ["image.ppm", "image.f32"])
        assert.match(`${command(directory, "./example", [file, ...more])}`, /^output\n/);
    });
  }
});

test("main.c refuses what is no picture", { skip: withoutCommand("gcc") }, () => {
  const graph = flattening([1, 3, 4, 4], imagenetPreprocessing);
  inDirectory(compileForC(graph), { example: true }, (directory) => {
    command(directory, "make", ["CC=gcc", `CFLAGS=${WARNINGS.join(" ")} -O1`]);
    for (const [content, problem] of [
      ["P5\n4 4\n255\n", /not a binary PPM image/],
      ["P6\n0 4\n255\n", /not an image of 1 to 2\^28 pixels/],
      ["P6\n99999 99999\n255\n", /not an image of 1 to 2\^28 pixels/],
      ["P6\n4 4\n65535\n", /not 8 bits per colour/],
      ["P6\n4 4\n255\nabc", /too short/],
    ] as const) {
      writeFileSync(path.join(directory, "image.ppm"), content);
      assert.throws(() => command(directory, `./${NAME}_example`, ["image.ppm"]), problem);
    }
  });
});
