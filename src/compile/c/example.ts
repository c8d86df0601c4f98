import { imagenetPreprocessing, readPreprocessing } from "../../data/preprocessing.js";
import type { CFile } from "./files.js";
import { wrapped } from "./names.js";
import { floatLiteral } from "./numbers.js";
import type { CPort } from "./ports.js";
import type { CUnit } from "./source.js";

/** A program that runs the network on files, and how it is built. */
export function exampleFiles(unit: CUnit): readonly CFile[] {
  return [
    { name: `${programName(unit)}.c`, content: mainFile(unit) },
    { name: "Makefile", content: makefile(unit) },
  ];
}

/** Not the network's own file, in file systems of any kind. */
function programName({ name }: CUnit): "main" | "example" {
  return name.toLowerCase() === "main" ? "example" : "main";
}

function makefile(unit: CUnit): string {
  const { name, weights } = unit;
  const objects = [
    `${name}.o`,
    ...(weights === "separate" ? [`${name}_weights.o`] : []),
    `${programName(unit)}.o`,
  ].join(" ");
  return `CC ?= cc
CFLAGS ?= -std=c99 -O3 -march=native -Wall -Wextra

${name}_example: ${objects}
	$(CC) $(CFLAGS) -o $@ ${objects} -lm

%.o: %.c ${name}.h
	$(CC) $(CFLAGS) -c -o $@ $<

clean:
	rm -f ${name}_example ${objects}

.PHONY: clean
`;
}

function mainFile(unit: CUnit): string {
  const { name, macro, ports, weights } = unit;
  const { inputs, outputs } = ports;
  const image = imageInput(unit);
  const isBinary = weights === "binary";
  const usage = [
    ...inputs.map(({ parameter }) => `${parameter.toUpperCase()}.f32${image === undefined ? "" : "|.ppm"}`),
    ...(isBinary ? [`${name}_weights.bin`] : []),
  ].join(" ");
  const reads = inputs.map(
    ({ parameter, macro: prefix }, index) =>
      `  float *${parameter} = memory(${prefix}_ELEMENTS * sizeof(float));
  read_input(arguments[${index + 1}], ${parameter}, ${prefix}_ELEMENTS);`,
  );
  const results = outputs.map(
    ({ parameter, macro: prefix }) => `  float *${parameter} = memory(${prefix}_ELEMENTS * sizeof(float));`,
  );
  const pointers = [...inputs, ...outputs].map(({ parameter }) => parameter);
  const prints = outputs.map(
    ({ parameter, macro: prefix }) => `  print_largest("${parameter}", ${parameter}, ${prefix}_ELEMENTS);`,
  );
  const weightReads = isBinary
    ? `  void *weights = memory(${macro}_WEIGHTS_BYTES);
  read_all(open_file(arguments[${inputs.length + 1}]), weights, ${macro}_WEIGHTS_BYTES, arguments[${inputs.length + 1}]);
`
    : "";
  const run = `${name}_run(${[...pointers, "scratch", ...(isBinary ? ["weights"] : [])].join(", ")});`;
  return `/*
 * Runs ${name} on files and prints the largest numbers of each output. An input is a file of float32 numbers, as
 * the network takes them${image === undefined ? "" : `, or a binary PPM image of ${image.width} x ${image.height} pixels`}.
 */
#include "${name}.h"

${image === undefined ? "" : "#include <ctype.h>\n"}#include <stdio.h>
#include <stdlib.h>
${image === undefined ? "" : "#include <string.h>\n"}
${classTable(unit)}

static void fail(const char *problem, const char *file) {
  fprintf(stderr, "%s: %s\\n", file, problem);
  exit(1);
}

static void *memory(size_t bytes) {
  void *found = malloc(bytes > 0 ? bytes : 1);
  if (found == NULL) fail("not enough memory", "${name}");
  return found;
}

static FILE *open_file(const char *name) {
  FILE *file = fopen(name, "rb");
  if (file == NULL) fail("cannot be opened", name);
  return file;
}

/* Exactly so many bytes, up to the end of the file. */
static void read_all(FILE *file, void *bytes, size_t count, const char *name) {
  if (fread(bytes, 1, count, file) != count) fail("too short", name);
  if (fgetc(file) != EOF) fail("too long", name);
  fclose(file);
}
${image === undefined ? "" : `\n${ppmReader(image)}\n`}
static void read_input(const char *name, float *values, size_t count) {
  FILE *file = open_file(name);
${
  image === undefined
    ? ""
    : `  if (strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".ppm") == 0) {
    read_ppm(file, values, name);
    return;
  }
`
}  read_all(file, values, count * sizeof(float), name);
}

static void print_largest(const char *title, const float *values, size_t count) {
  size_t shown[5];
  printf("%s\\n", title);
  for (size_t place = 0; place < count && place < 5; place++) {
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
      int is_left = 1;
      for (size_t other = 0; other < place; other++) is_left = is_left && shown[other] != i;
      if (is_left && (best == count || values[i] > values[best])) best = i;
    }
    shown[place] = best;
    ${classPrint(unit)}
  }
}

int main(int count, char **arguments) {
  if (count != ${inputs.length + (isBinary ? 1 : 0) + 1}) {
    fprintf(stderr, "usage: %s ${usage}\\n", arguments[0]);
    return 2;
  }
${[...reads, ...results].join("\n")}
  void *scratch = memory(${macro}_SCRATCH_BYTES);
${weightReads}  ${run}
${prints.join("\n")}
  return 0;
}
`;
}

interface ImageInput {
  readonly width: number;
  readonly height: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly scale: number;
}

/** The one input as an image in colour, if it is one. */
function imageInput({ ports, program }: CUnit): ImageInput | undefined {
  const [input] = ports.inputs;
  if (ports.inputs.length !== 1 || input === undefined || !isColourImage(input)) return undefined;
  const { mean, std, scale } = readPreprocessing(program.metadata) ?? imagenetPreprocessing;
  if (mean.length !== 3) return undefined;
  const [, , height = 1, width = 1] = input.shape;
  return { width, height, mean, std, scale };
}

function isColourImage({ shape }: CPort): boolean {
  return shape.length === 4 && shape[0] === 1 && shape[1] === 3;
}

function ppmReader({ width, height, mean, std, scale }: ImageInput): string {
  const list = (values: readonly number[]): string => values.map(floatLiteral).join(", ");
  return `static void skip_line(FILE *file) {
  int letter = fgetc(file);
  while (letter != '\\n' && letter != EOF) letter = fgetc(file);
}

/* A number of a PPM header, behind white space and comments. */
static int header_number(FILE *file) {
  int letter = fgetc(file);
  int number = 0;
  while (letter == '#' || isspace(letter)) {
    if (letter == '#') skip_line(file);
    letter = fgetc(file);
  }
  for (; letter >= '0' && letter <= '9' && number < 100000; letter = fgetc(file)) {
    number = 10 * number + letter - '0';
  }
  return number;
}

static void read_ppm(FILE *file, float *values, const char *name) {
  static const float mean[3] = {${list(mean)}};
  static const float deviation[3] = {${list(std)}};
  static unsigned char pixels[${3 * width * height}];
  if (fgetc(file) != 'P' || fgetc(file) != '6') fail("not a binary PPM image", name);
  if (header_number(file) != ${width} || header_number(file) != ${height}) fail("not ${width} x ${height} pixels", name);
  if (header_number(file) != 255) fail("not 8 bits per colour", name);
  read_all(file, pixels, sizeof pixels, name);
  for (int colour = 0; colour < 3; colour++) {
    for (int pixel = 0; pixel < ${width * height}; pixel++) {
      const float value = (float)pixels[3 * pixel + colour] * ${floatLiteral(scale)};
      values[${width * height} * colour + pixel] = (value - mean[colour]) / deviation[colour];
    }
  }
}`;
}

function classTable({ classNames }: CUnit): string {
  if (classNames === undefined) return "";
  return `static const char *const classes[] = {\n  ${wrapped(classNames, "  ")}\n};\n`;
}

function classPrint({ classNames }: CUnit): string {
  if (classNames === undefined) return `printf("  %6lu  %g\\n", (unsigned long)best, (double)values[best]);`;
  return `printf("  %-20s  %g\\n", best < ${classNames.length} ? classes[best] : "?", (double)values[best]);`;
}
