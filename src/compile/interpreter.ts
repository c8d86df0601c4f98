import type { BinaryOp, Comparison, Index, Kernel, Statement, UnaryOp, Value } from "./loops.js";
import type { Location, Program } from "./program.js";

/** Lanes of the only vectors that the interpreter knows. */
export const INTERPRETER_LANES = 1;

/**
 * Runs a program that was compiled for vectors of one lane, statement by statement: for constants, where speed does
 * not matter.
 * @param feeds elements of each input, by name
 * @returns elements of each output, by name
 */
export function interpretProgram(
  program: Program,
  feeds: ReadonlyMap<string, Float32Array>,
): ReadonlyMap<string, Float32Array> {
  const memory = new Map<number, ArrayBuffer>();
  const bytesOf = ({ buffer }: Location): ArrayBuffer => {
    const known = memory.get(buffer.id);
    if (known !== undefined) return known;
    const bytes = new ArrayBuffer(buffer.kind === "weights" ? buffer.size : 4 * buffer.size);
    const offset = program.weightOffsets.get(buffer.id);
    if (offset !== undefined)
      new Uint8Array(bytes).set(program.weights.subarray(offset, offset + buffer.size));
    memory.set(buffer.id, bytes);
    return bytes;
  };
  const elements = (port: Program["inputs"][number]): Float32Array =>
    new Float32Array(bytesOf({ buffer: port.buffer, offset: 0 }));
  for (const port of program.inputs) elements(port).set(feeds.get(port.name) ?? []);
  for (const { kernel, arguments: locations } of program.steps) {
    runKernel(
      kernel,
      locations.map((location) => ({ bytes: bytesOf(location), start: 4 * location.offset })),
    );
  }
  return new Map(program.outputs.map((port) => [port.name, elements(port)]));
}

interface Argument {
  readonly bytes: ArrayBuffer;
  /** In bytes. */
  readonly start: number;
}

/** What a parameter points at; positions may be negative. */
interface Elements {
  readonly array: Float32Array | Uint16Array | Int32Array;
  /** Where position 0 lies. */
  readonly base: number;
}

/** What a kernel's statements see; integers and float32 values have separate names. */
interface Frame {
  readonly indices: Map<string, number>;
  readonly values: Map<string, number>;
  readonly pointers: ReadonlyMap<string, Elements>;
}

const arrays = { f32: Float32Array, u16: Uint16Array, i32: Int32Array } as const;

function runKernel({ parameters, body }: Kernel, given: readonly Argument[]): void {
  const pointers = parameters.map(({ name, type }, index) => {
    const { bytes, start } = given[index] ?? { bytes: new ArrayBuffer(0), start: 0 };
    const array = new arrays[type](bytes);
    return [name, { array, base: start / array.BYTES_PER_ELEMENT }] as const;
  });
  const frame: Frame = { indices: new Map(), values: new Map(), pointers: new Map(pointers) };
  const run = block(body);
  run(frame);
}

type Action = (frame: Frame) => void;
type Evaluation = (frame: Frame) => number;

function block(statements: readonly Statement[]): Action {
  const actions = statements.map(action);
  return (frame) => {
    for (const act of actions) act(frame);
  };
}

function action(statement: Statement): Action {
  switch (statement.kind) {
    case "loop": {
      const { variable, step } = statement;
      const [from, to] = [index(statement.from), index(statement.to)];
      const body = block(statement.body);
      return (frame) => {
        const end = to(frame);
        for (let i = from(frame); i < end; i += step) {
          frame.indices.set(variable, i);
          body(frame);
        }
      };
    }
    case "setIndex": {
      const value = index(statement.value);
      return (frame) => frame.indices.set(statement.variable, value(frame));
    }
    case "setValue": {
      const result = value(statement.value);
      return (frame) => frame.values.set(statement.variable, result(frame));
    }
    case "store": {
      const position = index(statement.position);
      const result = value(statement.value);
      return (frame) => {
        const { array, base } = elementsOf(frame, statement.pointer);
        array[base + position(frame)] = result(frame);
      };
    }
  }
}

function elementsOf(frame: Frame, pointer: string): Elements {
  const elements = frame.pointers.get(pointer);
  if (elements === undefined) throw new Error(`no parameter "${pointer}"`);
  return elements;
}

/** @throws Error if it lies outside the memory: no program of ours reads there */
function elementAt(frame: Frame, pointer: string, position: number): number {
  const { array, base } = elementsOf(frame, pointer);
  const element = array[base + position];
  if (element === undefined) throw new Error(`"${pointer}" has no element ${position}`);
  return element;
}

function index(expression: Index): Evaluation {
  if (typeof expression === "number") return () => expression;
  switch (expression.kind) {
    case "variable":
      return (frame) => frame.indices.get(expression.name) ?? 0;
    case "entry": {
      const position = index(expression.position);
      return (frame) => elementAt(frame, expression.pointer, position(frame));
    }
    case "add": {
      const [left, right] = [index(expression.left), index(expression.right)];
      return (frame) => left(frame) + right(frame);
    }
    case "multiply": {
      const [left, right] = [index(expression.left), index(expression.right)];
      return (frame) => left(frame) * right(frame);
    }
  }
}

const unaryOps: Readonly<Record<UnaryOp, (x: number) => number>> = {
  negate: (x) => -x,
  absolute: Math.abs,
  squareRoot: Math.sqrt,
  floor: Math.floor,
  ceil: Math.ceil,
  truncate: Math.trunc,
  nearest: (x) => {
    const below = Math.floor(x);
    if (x - below !== 0.5) return Math.round(x);
    return below % 2 === 0 ? below : below + 1;
  },
  powerOfTwo: (x) => 2 ** x,
  exponent: (x) => Math.floor(Math.log2(x)),
  mantissa: (x) => x / 2 ** Math.floor(Math.log2(x)),
};

const binaryOps: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  pseudoMax: (a, b) => (a < b ? b : a),
  pseudoMin: (a, b) => (b < a ? b : a),
};

const comparisons: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  less: (a, b) => a < b,
  lessOrEqual: (a, b) => a <= b,
  equal: (a, b) => a === b,
  notEqual: (a, b) => a !== b,
};

function value(expression: Value): Evaluation {
  switch (expression.kind) {
    case "constant": {
      const rounded = Math.fround(expression.value);
      return () => rounded;
    }
    case "variable":
      return (frame) => frame.values.get(expression.name) ?? Number.NaN;
    case "load":
    case "broadcast": {
      const position = index(expression.position);
      return (frame) => elementAt(frame, expression.pointer, position(frame));
    }
    case "fromIndex": {
      const number = index(expression.index);
      return (frame) => Math.fround(number(frame));
    }
    case "unary": {
      const operand = value(expression.operand);
      const apply = unaryOps[expression.op];
      return (frame) => Math.fround(apply(operand(frame)));
    }
    case "binary": {
      const [left, right] = [value(expression.left), value(expression.right)];
      const apply = binaryOps[expression.op];
      return (frame) => Math.fround(apply(left(frame), right(frame)));
    }
    case "multiplyAdd": {
      const [left, right, addend] = [expression.left, expression.right, expression.addend].map(value);
      if (left === undefined || right === undefined || addend === undefined)
        throw new Error("three operands");
      return (frame) => Math.fround(left(frame) * right(frame) + addend(frame));
    }
    case "select": {
      const [left, right] = [value(expression.left), value(expression.right)];
      const [chosen, other] = [value(expression.chosen), value(expression.other)];
      const compare = comparisons[expression.comparison];
      return (frame) => (compare(left(frame), right(frame)) ? chosen(frame) : other(frame));
    }
  }
}
