import type { EmittedFile } from "../backend.js";
import { wrapped } from "./names.js";
import { PICTURE_HEADERS, pictureInput, pictureReader } from "./picture_reader.js";
import { type CUnit, takesPrepared, takesWeights } from "./source.js";

/** A program that runs the network on files, and how it is built. */
export function exampleFiles(unit: CUnit): readonly EmittedFile[] {
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
  const image = pictureInput(unit);
  const includes = ["stdio.h", "stdlib.h", ...(image === undefined ? [] : PICTURE_HEADERS)].toSorted();
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
  const owned = [
    ...pointers,
    "scratch",
    ...(takesWeights(unit) ? ["weights"] : []),
    ...(takesPrepared(unit) ? ["prepared"] : []),
  ];
  const run = `${name}_run(${owned.join(", ")});`;
  const weightReads = readingWeights(unit);
  return `/*
 * Runs ${name} on files and prints the largest numbers of each output. An input is a file of float32 numbers, as
 * the network takes them${image === undefined ? "" : `, or a binary PPM image`}.
 */
#include "${name}.h"

${includes.map((header) => `#include <${header}>`).join("\n")}

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
${image === undefined ? "" : `\n${pictureReader(image)}\n`}
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
${weightReads}${preparing(unit)}  ${run}
${prints.join("\n")}
${owned.map((pointer) => `  free(${pointer});`).join("\n")}
  return 0;
}
`;
}

/** Makes `weights` of what the network's files hold. */
function readingWeights(unit: CUnit): string {
  const { name, macro, packed, weights, ports } = unit;
  if (!takesWeights(unit)) return "";
  const memory = `  void *weights = memory(${macro}_WEIGHTS_BYTES);\n`;
  if (packed !== undefined && weights !== "binary") return `${memory}  ${name}_unpack(weights);\n`;
  const file = `arguments[${ports.inputs.length + 1}]`;
  const read = (place: string, macroName: string): string =>
    `  read_all(open_file(${file}), ${place}, ${macro}_${macroName}, ${file});\n`;
  if (packed === undefined) return `${memory}${read("weights", "WEIGHTS_BYTES")}`;
  return `${memory}  void *packed = memory(${macro}_PACKED_BYTES);
${read("packed", "PACKED_BYTES")}  ${name}_unpack(packed, weights);
  free(packed);
`;
}

function preparing(unit: CUnit): string {
  if (!takesPrepared(unit)) return "";
  const { name, macro } = unit;
  return `  void *prepared = memory(${macro}_PREPARED_BYTES);
  ${name}_prepare(${takesWeights(unit) ? "weights, " : ""}prepared);
`;
}

function classTable({ classNames }: CUnit): string {
  if (classNames === undefined) return "";
  return `static const char *const classes[] = {\n  ${wrapped(classNames, "  ")}\n};\n`;
}

function classPrint({ classNames }: CUnit): string {
  if (classNames === undefined) return `printf("  %6lu  %g\\n", (unsigned long)best, (double)values[best]);`;
  return `printf("  %-20s  %g\\n", best < ${classNames.length} ? classes[best] : "?", (double)values[best]);`;
}
