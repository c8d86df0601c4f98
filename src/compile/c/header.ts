import { binaryWeights } from "./constants.js";
import { wrapped } from "./names.js";
import type { CPort } from "./ports.js";
import { type CUnit, runParameters, takesWeights } from "./source.js";

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
#define ${macro}_WEIGHTS_BYTES ${weightsBytes(unit)}${unit.packed === undefined ? "" : `\n#define ${macro}_PACKED_BYTES ${unit.packed.bytes.length}`}

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

function weightsBytes(unit: CUnit): number {
  const { program } = unit;
  return takesWeights(unit) ? binaryWeights(program).length : program.weights.length;
}

/** What expands packed weights. */
function unpacking({ name, macro, weights, packed }: CUnit): string {
  if (packed === undefined) return "";
  const isInFile = weights === "binary";
  return `
/*
 * Expands the weights, which are packed${isInFile ? ` in the ${macro}_PACKED_BYTES bytes of ${name}_weights.bin` : ""}, to ${macro}_WEIGHTS_BYTES bytes that ${name}_run takes, aligned
 * as float is: once, before it runs first. Several threads may share them.
 */
void ${name}_unpack(${isInFile ? "const void *packed, " : ""}void *weights);
`;
}

function parameterNotes({ ports, macro, name, weights, packed }: CUnit): readonly string[] {
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
  ];
}
