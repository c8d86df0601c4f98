import type { EmittedFile, WeightsPlace } from "../backend.js";
import type { Program } from "../program.js";
import { binaryWeights } from "./constants.js";
import { exampleFiles } from "./example.js";
import { headerFile } from "./header.js";
import { checkName } from "./names.js";
import { type CUnit, cUnit, separateWeights, sourceFile } from "./source.js";

export { cName } from "./names.js";

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
 * @param program compiled for `cTarget`
 * @throws PenniError "bad-option" if the name is no identifier, or the weights are too large for text
 */
export function cFiles(program: Program, { name, weights, example }: CFileOptions): readonly EmittedFile[] {
  const unit = cUnit(program, checkName(name), weights);
  return [
    { name: `${name}.h`, content: headerFile(unit) },
    { name: `${name}.c`, content: sourceFile(unit) },
    ...weightFiles[weights](unit),
    ...(example ? exampleFiles(unit) : []),
  ];
}

const weightFiles: Readonly<Record<WeightsPlace, (unit: CUnit) => readonly EmittedFile[]>> = {
  inside: () => [],
  separate: (unit) => {
    const { header, source } = separateWeights(unit);
    return [
      { name: `${unit.name}_weights.h`, content: header },
      { name: `${unit.name}_weights.c`, content: source },
    ];
  },
  binary: ({ name, program, packed }) => [
    { name: `${name}_weights.bin`, content: packed?.bytes ?? binaryWeights(program) },
  ],
};
