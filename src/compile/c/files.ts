import type { Program } from "../program.js";
import type { CFile } from "./c_file.js";
import { binaryWeights } from "./constants.js";
import { exampleFiles } from "./example.js";
import { headerFile } from "./header.js";
import { checkName } from "./names.js";
import { type CUnit, cUnit, separateWeights, sourceFile, type WeightsPlace } from "./source.js";

export { cName } from "./names.js";

/** Lanes of the vectors that kernels for C are generated with: `compileProgram(graph, { width: C_LANES, rates })`. */
export const C_LANES = 8;

export interface CFileOptions {
  /** A C identifier (`cName` makes one): the files' name and the prefix of everything in the header. */
  readonly name: string;
  /** In NAME.c, in NAME_weights.c, or in NAME_weights.bin, whose content NAME_run takes as its last argument. */
  readonly weights: WeightsPlace;
  /** Also a main.c that classifies one image, and a Makefile. */
  readonly example: boolean;
}

/**
 * A program as C99: NAME.h, NAME.c and what the options ask for.
 * @param program compiled with vectors of `C_LANES`
 * @throws PenniError "bad-option" if the name is no identifier, or the weights are too large for text
 */
export function cFiles(program: Program, { name, weights, example }: CFileOptions): readonly CFile[] {
  const unit = cUnit(program, checkName(name), weights);
  return [
    { name: `${name}.h`, content: headerFile(unit) },
    { name: `${name}.c`, content: sourceFile(unit) },
    ...weightFiles[weights](unit),
    ...(example ? exampleFiles(unit) : []),
  ];
}

const weightFiles: Readonly<Record<WeightsPlace, (unit: CUnit) => readonly CFile[]>> = {
  inside: () => [],
  separate: (unit) => {
    const { header, source } = separateWeights(unit);
    return [
      { name: `${unit.name}_weights.h`, content: header },
      { name: `${unit.name}_weights.c`, content: source },
    ];
  },
  binary: ({ name, program }) => [{ name: `${name}_weights.bin`, content: binaryWeights(program) }],
};
