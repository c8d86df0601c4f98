import { PenniError } from "../../graph/errors.js";
import type { CIdentifier } from "../../text/destinations.js";
import type { Pointer } from "../loops.js";
import type { Program } from "../program.js";
import {
  byteArray,
  byteArrayDefinitions,
  byteArrayType,
  byteArrayValues,
  littleEndianOnly,
  MOST_NUMBER_BYTES,
} from "./byte_arrays.js";
import { elementTypes } from "./kernel_printer.js";
import { Names, wrapped } from "./names.js";
import { floatLiteral } from "./numbers.js";

/** A constant that kernels read, as an array. */
export interface CConstant {
  readonly id: number;
  readonly name: CIdentifier;
  readonly type: Pointer["type"];
  /** Bytes in the program's weights. */
  readonly from: number;
  readonly size: number;
}

/** Zeros behind an array: a vector that begins at its last element may be loaded whole. */
const SLACK = 7;

/** Weights that are larger than this in bytes make no useful source text. */
const MOST_TEXT_WEIGHTS = 2 ** 27;

/** The constants that a program reads, named after the first node that does. @param reserved names not to be used */
export function findConstants(
  program: Program,
  prefix: string,
  reserved: readonly string[],
): readonly CConstant[] {
  const names = new Names(reserved);
  const found = new Map<number, CConstant>();
  for (const step of [...program.preparation, ...program.steps]) {
    step.arguments.forEach(({ buffer }, index) => {
      const parameter = step.kernel.parameters[index];
      const from = program.weightOffsets.get(buffer.id);
      if (buffer.kind !== "weights" || parameter === undefined || from === undefined) return;
      const known = found.get(buffer.id);
      if (known === undefined) {
        const name = names.take(`${prefix}${step.node.slice(-40)}_${parameter.name}`);
        found.set(buffer.id, { id: buffer.id, name, type: parameter.type, from, size: buffer.size });
      } else if (known.type !== parameter.type) {
        throw new PenniError(
          "internal",
          `constant ${known.name} is read as ${known.type} and as ${parameter.type}`,
        );
      }
    });
  }
  return [...found.values()];
}

/** Whether a program's constants are written as bytes, not as numbers. */
const areBytes = ({ weights }: Pick<Program, "weights">): boolean => weights.length > MOST_NUMBER_BYTES;

/** The place of a constant's first element, as an expression. */
export const constantValues = (program: Pick<Program, "weights">, { name }: CConstant): string =>
  areBytes(program) ? byteArrayValues(name) : name;

/** What has to be known of the constants before they are declared; may be empty. */
export function constantTypes(program: Pick<Program, "weights">, constants: readonly CConstant[]): string {
  if (!areBytes(program)) return "";
  const types = constants.map((constant) => {
    const { name, type } = constant;
    const count = Math.max(1, elementsOf(constant));
    return byteArrayType({ name, element: elementTypes[type], count, size: count * elementBytes[type] });
  });
  return [littleEndianOnly, ...types].join("\n\n");
}

/** A constant as other files see it. */
export const constantDeclaration = (program: Pick<Program, "weights">, constant: CConstant): string =>
  `extern ${areBytes(program) ? byteArray(constant.name) : arrayType(constant)};`;

/** "const float conv1_weights[432 + 7]" */
function arrayType({ name, type, size }: CConstant): string {
  const count = size / elementBytes[type];
  const slack = type === "f32" ? ` + ${SLACK}` : "";
  return `const ${elementTypes[type]} ${name}[${type === "f32" ? count : Math.max(1, count)}${slack}]`;
}

/** With room behind floats for whole vectors. */
const elementsOf = ({ type, size }: CConstant): number =>
  size / elementBytes[type] + (type === "f32" ? SLACK : 0);

const elementBytes: Readonly<Record<Pointer["type"], number>> = { f32: 4, u16: 2, i32: 4 };

/** The arrays' definitions. @param qualifier in front of each */
export function constantDefinitions(
  program: Pick<Program, "weights">,
  constants: readonly CConstant[],
  qualifier: "static " | "",
): string {
  const { weights } = program;
  if (weights.length > MOST_TEXT_WEIGHTS) {
    throw new PenniError("bad-option", "the weights are too large for source text", {
      expected: `${MOST_TEXT_WEIGHTS} bytes at most`,
      found: `${weights.length} bytes`,
      advice: "Keep them in a binary file",
    });
  }
  if (areBytes(program)) {
    const arrays = constants.map(({ name, from, size }) => ({
      name,
      bytes: weights.subarray(from, from + size),
    }));
    return byteArrayDefinitions(arrays, qualifier);
  }
  const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
  return constants
    .map((constant) => {
      const items = literals(view, constant);
      const content = wrapped(items.length === 0 ? ["0"] : items, "  ");
      return `${qualifier}${arrayType(constant)} = {\n  ${content}\n};`;
    })
    .join("\n\n");
}

function literals(view: DataView, { type, from, size }: CConstant): readonly string[] {
  const bytes = elementBytes[type];
  return Array.from({ length: size / bytes }, (_, index) => readLiteral[type](view, from + index * bytes));
}

const readLiteral: Readonly<Record<Pointer["type"], (view: DataView, position: number) => string>> = {
  f32: (view, position) => floatLiteral(view.getFloat32(position, true)),
  u16: (view, position) => String(view.getUint16(position, true)),
  i32: (view, position) => String(view.getInt32(position, true)),
};

/** The weights as the file that `NAME_run` gets, with room behind them for whole vectors. */
export function binaryWeights({ weights }: Pick<Program, "weights">): Uint8Array {
  const bytes = new Uint8Array(weights.length + 4 * (SLACK + 1));
  bytes.set(weights);
  return bytes;
}
