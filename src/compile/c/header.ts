import { binaryWeights } from "./constants.js";
import { wrapped } from "./names.js";
import type { CPort } from "./ports.js";
import {
  type CUnit,
  preparedOffset,
  prepareParameters,
  runParameters,
  takesPrepared,
  takesWeights,
} from "./source.js";

/** NAME.h */
export function headerFile(unit: CUnit): string {
  const { title, name, macro, ports, plan } = unit;
  const macros = [...ports.inputs, ...ports.outputs].flatMap(portMacros);
  return `/*
 * ${name}: the network "${title}", compiled by Penni. No heap, no files, nothing is written but
 * outputs and scratch: several threads may run it at once, each with a scratch of its own.
 * Define ${macro}_SCALAR when compiling ${name}.c to do without vector instructions.
 */
#ifndef ${macro}_H
#define ${macro}_H

${macros.join("\n")}
#define ${macro}_SCRATCH_BYTES ${4 * plan.size}
#define ${macro}_WEIGHTS_BYTES ${weightsBytes(unit)}${furtherSizes(unit)}

#ifdef __cplusplus
extern "C" {
#endif
${unpacking(unit)}
/*
 * Runs the network once. No two of the pointers may overlap; all are to be aligned as float is.
${parameterNotes(unit)
  .map((note) => ` * ${note}`)
  .join("\n")}
 */
void ${name}_run(${wrapped(runParameters(unit), "    ")});

#ifdef __cplusplus
}
#endif

#endif
`;
}

function portMacros({ macro, title, elementType, buffer, shape }: CPort): readonly string[] {
  return [
    `/* "${title}", row-major${elementType === "float32" ? "" : `; ${elementType} in the model, float here`} */`,
    `#define ${macro}_ELEMENTS ${buffer.size}`,
    `#define ${macro}_RANK ${shape.length}`,
    `#define ${macro}_SHAPE {${shape.join(", ")}}`,
  ];
}

function furtherSizes({ macro, packed, prepared }: CUnit): string {
  const sizes = [
    ...(packed === undefined ? [] : [["PACKED", packed.bytes.length]]),
    ...(packed !== undefined || prepared === undefined ? [] : [["PREPARED", 4 * prepared.plan.size]]),
  ];
  return sizes.map(([what, bytes]) => `\n#define ${macro}_${what}_BYTES ${bytes}`).join("");
}

function weightsBytes(unit: CUnit): number {
  const { program, packed, prepared } = unit;
  if (packed !== undefined && prepared !== undefined) return preparedOffset(unit) + 4 * prepared.plan.size;
  return takesWeights(unit) ? binaryWeights(program).length : program.weights.length;
}

/** What expands packed weights, or makes ready what runs read. */
function unpacking(unit: CUnit): string {
  const { name, macro, weights, packed } = unit;
  if (packed === undefined) return takesPrepared(unit) ? preparing(unit) : "";
  const isInFile = weights === "binary";
  return `
/*
 * Expands the weights, which are packed${isInFile ? ` in the ${macro}_PACKED_BYTES bytes of ${name}_weights.bin` : ""}, to ${macro}_WEIGHTS_BYTES bytes that ${name}_run takes, aligned
 * as float is: once, before it runs first. Several threads may share them.
 */
void ${name}_unpack(${isInFile ? "const void *packed, " : ""}void *weights);
`;
}

function preparing(unit: CUnit): string {
  const { name, macro } = unit;
  return `
/*
 * Makes of the weights what ${name}_run reads, in ${macro}_PREPARED_BYTES bytes aligned as float is: once, before it runs
 * first. Several threads may share them.
 */
void ${name}_prepare(${prepareParameters(unit).join(", ")});
`;
}

function parameterNotes(unit: CUnit): readonly string[] {
  const { ports, macro, name, weights, packed } = unit;
  const port = ({ parameter, macro: prefix, shape }: CPort): string =>
    `${parameter}: ${prefix}_ELEMENTS numbers, [${shape.join(", ")}].`;
  return [
    ...ports.inputs.map(port),
    ...ports.outputs.map(port),
    `scratch: ${macro}_SCRATCH_BYTES bytes, fastest if aligned to 64; their content does not matter and is lost.`,
    ...(packed === undefined ? [] : [`weights: what ${name}_unpack has written, only read.`]),
    ...(weights === "binary" && packed === undefined
      ? [`weights: the ${macro}_WEIGHTS_BYTES bytes of ${name}_weights.bin, only read; little-endian.`]
      : []),
    ...(takesPrepared(unit) ? [`prepared: what ${name}_prepare has written, only read.`] : []),
  ];
}
