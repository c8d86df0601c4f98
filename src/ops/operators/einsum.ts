import { at, inputOf, present } from "../../graph/at.js";
import { requiredString, text } from "../../graph/attributes.js";
import { shapeError } from "../../graph/shape_error.js";
import { elementCount } from "../../graph/tensor.js";
import type { Dim, Node, ValueType } from "../../graph/types.js";
import { wall } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import { type GradientContext, type OpDefinition, staticShape } from "../core/definition.js";
import { matMul, reduceSum, reshape, transpose } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { unsupportedForm } from "../core/unsupported_form.js";

/**
 * Products and sums over named axes (ONNX Einsum, opset 12 and later), as "bhqd,bhkd->bhqk". The gradient of an operand
 * is the sum of products of the other operands with dy.
 */
export const Einsum: OpDefinition = {
  type: "Einsum",
  shape: (context) => [einsumType(context)],
  gradient: einsumGradient,
  channels: () => wall("it mixes axes by name"),
  cost: (context) => {
    if (context.inputs.length < 2) return 0;
    const shapes = context.inputs.map((type) => staticShape(context.node, type));
    const { operands } = readEquation(
      context.node,
      shapes.map((shape) => shape.length),
    );
    const sizes = sizesOf(context.node, operands, shapes);
    return elementCount([...sizes.values()].map(Number)) * (context.inputs.length - 1);
  },
  expand: (b, node) => [expandEinsum(b, node)],
};

/** An equation with a letter for each axis, those of an ellipsis included. */
interface Equation {
  readonly operands: readonly string[];
  readonly result: string;
}

/** Letters of the ellipsis' axes, which equations cannot contain themselves. */
const FIRST_ELLIPSIS_LETTER = 0x2460;

/** @throws PenniError "shape" for an equation that does not fit the operands' ranks */
function readEquation(node: Node, ranks: readonly number[]): Equation {
  const equation = requiredString(node, "equation").replaceAll(" ", "");
  const [left, ...rest] = equation.split("->");
  const [right] = rest;
  const terms = present(left).split(",");
  const isTerm = (term: string): boolean => /^[A-Za-z]*(\.\.\.)?[A-Za-z]*$/.test(term);
  if (rest.length > 1 || terms.length !== ranks.length || ![...terms, ...rest].every(isTerm)) {
    throw shapeError(node, "the equation does not fit", `one for ${ranks.length} operands`, equation);
  }
  const named = (term: string): number => term.replace("...", "").length;
  const hidden = terms.map((term, index) => (term.includes("...") ? at(ranks, index) - named(term) : 0));
  const most = Math.max(0, ...hidden);
  const ellipsis = (count: number): string =>
    Array.from({ length: count }, (_, place) =>
      String.fromCharCode(FIRST_ELLIPSIS_LETTER + most - count + place),
    ).join("");
  const operands = terms.map((term, index) => {
    const filled = term.replace("...", ellipsis(Math.max(0, at(hidden, index))));
    if (filled.length === ranks[index]) return filled;
    throw shapeError(
      node,
      "the equation does not fit",
      `operand ${index} of rank ${filled.length}`,
      `${ranks[index]}`,
    );
  });
  return {
    operands,
    result: right?.replace("...", ellipsis(most)) ?? implicitResult(operands, ellipsis(most)),
  };
}

/** Without an arrow: the ellipsis, then the letters that occur once, in alphabetical order. */
function implicitResult(operands: readonly string[], ellipsis: string): string {
  const letters = operands.join("").split("");
  const single = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter));
  return (
    ellipsis +
    single
      .filter((letter) => !ellipsis.includes(letter))
      .sort()
      .join("")
  );
}

/** Sizes by letter; a size of 1 gives way to another, as in broadcasting. */
function sizesOf(
  node: Node,
  operands: readonly string[],
  shapes: readonly (readonly Dim[])[],
): ReadonlyMap<string, Dim> {
  const sizes = new Map<string, Dim>();
  operands.forEach((operand, index) => {
    [...operand].forEach((letter, axis) => {
      const [known, size] = [sizes.get(letter), shapes[index]?.[axis]];
      const isNew = !sizes.has(letter) || known === 1 || (typeof known !== "number" && size !== 1);
      if (isNew) sizes.set(letter, size);
      else if (typeof size === "number" && typeof known === "number" && size !== known && size !== 1) {
        throw shapeError(node, `two sizes for "${letter}"`, `${known}`, `${size}`);
      }
    });
  });
  return sizes;
}

function einsumType({ node, inputs }: NodeContext): ValueType {
  const [first] = inputs;
  if (first === undefined) throw shapeError(node, "the type of the first operand is unknown");
  const shapes = inputs.flatMap((type) => (type?.shape === undefined ? [] : [type.shape]));
  const { elementType } = first;
  if (shapes.length < inputs.length) return { elementType, shape: undefined };
  const { operands, result } = readEquation(
    node,
    shapes.map((shape) => shape.length),
  );
  const sizes = sizesOf(node, operands, shapes);
  return {
    elementType,
    shape: [...result].map((letter) => {
      if (sizes.has(letter)) return sizes.get(letter);
      throw shapeError(node, "an axis of the result is in no operand", operands.join(","), result);
    }),
  };
}

/** Letters of ellipses as such that equations may contain. */
function plainLetters(equation: Equation): Equation {
  const used = new Set([...equation.operands, equation.result].join(""));
  const free = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"].filter(
    (letter) => !used.has(letter),
  );
  const names = new Map(
    [...used].filter((letter) => letter > "z").map((letter, at) => [letter, free[at] ?? letter]),
  );
  const plain = (term: string): string => [...term].map((letter) => names.get(letter) ?? letter).join("");
  return { operands: equation.operands.map(plain), result: plain(equation.result) };
}

function einsumGradient(context: GradientContext): readonly (string | undefined)[] {
  const { node, builder: b, needs } = context;
  const [dy] = context.outputGradients;
  if (dy === undefined) return [];
  const ranks = node.inputs.map((name) => context.dims(name).length);
  const { operands, result } = plainLetters(readEquation(node, ranks));
  const sizes = sizesOf(
    node,
    operands,
    node.inputs.map((name) => context.dims(name)),
  );
  return operands.map((own, index) => {
    if (needs[index] !== true) return undefined;
    const others = operands.filter((_, other) => other !== index);
    const dims = context.dims(inputOf(node, index));
    const isPlain =
      new Set(own).size === own.length && [...own].every((letter, axis) => sizes.get(letter) === dims[axis]);
    if (!isPlain) throw unsupportedForm(node, "gradient", "distinct axes that are not repeated", own);
    const reached = [result, ...others].join("");
    const found = [...own].filter((letter) => reached.includes(letter)).join("");
    const inputs = [dy, ...node.inputs.filter((_, other) => other !== index)];
    const equation = text(`${[result, ...others].join(",")}->${found}`);
    const gradient = b.emit("Einsum", inputs, { attributes: { equation } });
    if (found === own) return gradient;
    // Axes that were summed away: every element along them has the same part.
    const thin = dims.map((dim, axis) => (found.includes(at(own, axis)) ? dim : 1));
    return b.emit("Expand", [reshape(b, gradient, thin), b.axes(dims)]);
  });
}

/** A value with a letter for each of its axes. */
interface Lettered {
  readonly name: string;
  readonly letters: string;
}

/** Operands are multiplied two by two, each time with all that nobody needs any more summed away. */
function expandEinsum(b: Emitter, node: Node): string {
  const ranks = node.inputs.map((name) => b.dims(name).length);
  const { operands, result } = readEquation(node, ranks);
  if (operands.some((letters) => new Set(letters).size < letters.length)) {
    throw unsupportedForm(node, "simpler one", "distinct axes in each operand", operands.join(","));
  }
  const all = operands.map((letters, index): Lettered => ({ name: inputOf(node, index), letters }));
  const [first, ...others] = all;
  if (first === undefined) throw unsupportedForm(node, "simpler one", "operands", "none");
  const product = others.reduce((left, right, index) => {
    const later = new Set(
      result +
        others
          .slice(index + 1)
          .map(({ letters }) => letters)
          .join(""),
    );
    return multiplied(
      b,
      summed(b, left, new Set([...later, ...right.letters])),
      summed(b, right, new Set([...later, ...left.letters])),
      later,
    );
  }, first);
  const kept = summed(b, product, new Set(result));
  return ordered(b, kept, result).name;
}

/** The sum over axes that nobody needs. */
function summed(b: Emitter, { name, letters }: Lettered, needed: ReadonlySet<string>): Lettered {
  const axes = [...letters].flatMap((letter, axis) => (needed.has(letter) ? [] : [axis]));
  if (axes.length === 0) return { name, letters };
  const rest = [...letters].filter((letter) => needed.has(letter)).join("");
  return { name: reduceSum(b, name, axes, false), letters: rest };
}

function ordered(b: Emitter, { name, letters }: Lettered, wanted: string): Lettered {
  if (letters === wanted) return { name, letters };
  return {
    name: transpose(
      b,
      name,
      [...wanted].map((letter) => letters.indexOf(letter)),
    ),
    letters: wanted,
  };
}

/** A product of matrices: axes that both have and somebody needs are stacked, those that nobody needs are summed over. */
function multiplied(b: Emitter, left: Lettered, right: Lettered, needed: ReadonlySet<string>): Lettered {
  const shared = [...left.letters].filter((letter) => right.letters.includes(letter));
  const stack = shared.filter((letter) => needed.has(letter)).join("");
  const inner = shared.filter((letter) => !needed.has(letter)).join("");
  const ownOf = ({ letters }: Lettered): string =>
    [...letters].filter((letter) => !shared.includes(letter)).join("");
  const [rows, columns] = [ownOf(left), ownOf(right)];
  const sizeOf =
    (part: Lettered) =>
    (letter: string): number =>
      at(b.dims(part.name), part.letters.indexOf(letter));
  const matrix = (part: Lettered, first: string, second: string): string => {
    const { name } = ordered(b, part, stack + first + second);
    const sizes = (letters: string): number[] => [...letters].map(sizeOf(part));
    return reshape(b, name, [...sizes(stack), elementCount(sizes(first)), elementCount(sizes(second))]);
  };
  const product = matMul(b, matrix(left, rows, inner), matrix(right, inner, columns));
  const dims = [
    ...b.dims(product).slice(0, stack.length),
    ...[...rows].map(sizeOf(left)),
    ...[...columns].map(sizeOf(right)),
  ];
  return { name: reshape(b, product, dims), letters: stack + rows + columns };
}
