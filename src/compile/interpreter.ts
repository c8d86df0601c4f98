import { at, entryOf, present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { BinaryOp, Comparison, Index, Kernel, Statement, UnaryOp, Value } from "./loops.js";
import type { Location, Program } from "./program.js";

/** Lanes of the only vectors that the interpreter knows. */
export const INTERPRETER_LANES = 1;

/** Rounds of loops that are still allowed: each takes a microsecond or two. */
export interface Allowance {
  rounds: number;
}

/**
 * Runs a program that was compiled for vectors of one lane, statement by statement: for constants, where speed does
 * not matter.
 * @param feeds elements of each input, by name
 * @param allowance is used up; default: as much as it takes
 * @returns elements of each output, by name
 * @throws PenniError "unsupported" where the allowance does not last
 */
export function interpretProgram(
  program: Program,
  feeds: ReadonlyMap<string, Float32Array>,
  allowance: Allowance = { rounds: Number.POSITIVE_INFINITY },
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
  for (const port of program.inputs) elements(port).set(entryOf(feeds, port.name));
  for (const { kernel, arguments: locations } of [...program.preparation, ...program.steps]) {
    runKernel(
      kernel,
      locations.map((location) => ({ bytes: bytesOf(location), start: 4 * location.offset })),
      allowance,
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

/** What a kernel's statements see: everything by its number. */
interface Frame {
  readonly indices: number[];
  readonly values: number[];
  readonly pointers: readonly Elements[];
  readonly allowance: Allowance;
}

type Action = (frame: Frame) => void;
type Evaluation = (frame: Frame) => number;

const arrays = { f32: Float32Array, u16: Uint16Array, i32: Int32Array } as const;

function runKernel({ parameters, body }: Kernel, given: readonly Argument[], allowance: Allowance): void {
  const pointers = parameters.map(({ type }, index): Elements => {
    const { bytes, start } = at(given, index);
    const array = new arrays[type](bytes);
    return { array, base: start / array.BYTES_PER_ELEMENT };
  });
  const run = new Translator(parameters.map((pointer) => pointer.name)).block(body);
  run({ indices: [], values: [], pointers, allowance });
}

function exhausted(): PenniError {
  return new PenniError("unsupported", "the arithmetic on constants takes too long to be done beforehand");
}

/** Makes functions of a kernel's statements. */
class Translator {
  private readonly numbers = new Map<string, number>();

  constructor(private readonly parameters: readonly string[]) {}

  block(statements: readonly Statement[]): Action {
    const actions = statements.map((statement) => this.action(statement));
    return (frame) => {
      for (const act of actions) act(frame);
    };
  }

  private numberOf(variable: string): number {
    const number = this.numbers.get(variable) ?? this.numbers.size;
    this.numbers.set(variable, number);
    return number;
  }

  private action(statement: Statement): Action {
    switch (statement.kind) {
      case "loop": {
        const { step } = statement;
        const counter = this.numberOf(statement.variable);
        const [from, to] = [this.index(statement.from), this.index(statement.to)];
        const body = this.block(statement.body);
        return (frame) => {
          const end = to(frame);
          const { allowance } = frame;
          for (let i = from(frame); i < end; i += step) {
            allowance.rounds -= 1;
            if (allowance.rounds < 0) throw exhausted();
            frame.indices[counter] = i;
            body(frame);
          }
        };
      }
      case "setIndex": {
        const [variable, result] = [this.numberOf(statement.variable), this.index(statement.value)];
        return (frame) => {
          frame.indices[variable] = result(frame);
        };
      }
      case "setValue": {
        const [variable, result] = [this.numberOf(statement.variable), this.value(statement.value)];
        return (frame) => {
          frame.values[variable] = result(frame);
        };
      }
      case "prefetch":
        return () => {};
      case "store": {
        const [position, result] = [this.index(statement.position), this.value(statement.value)];
        const pointer = this.pointer(statement.pointer);
        return (frame) => {
          const { array, base } = present(frame.pointers[pointer]);
          array[base + position(frame)] = result(frame);
        };
      }
    }
  }

  private pointer(name: string): number {
    const pointer = this.parameters.indexOf(name);
    if (pointer < 0) throw new PenniError("internal", `a kernel has no parameter "${name}"`);
    return pointer;
  }

  /** @returns a function that throws PenniError "internal" for elements outside the memory: no program of ours reads there */
  private element(name: string, position: Evaluation): Evaluation {
    const pointer = this.pointer(name);
    return (frame) => {
      const { array, base } = present(frame.pointers[pointer]);
      const place = position(frame);
      const element = array[base + place];
      if (element === undefined) throw new PenniError("internal", `"${name}" has no element ${place}`);
      return element;
    };
  }

  private index(index: Index): Evaluation {
    if (typeof index === "number") return () => index;
    switch (index.kind) {
      case "variable": {
        const variable = this.numberOf(index.name);
        return (frame) => present(frame.indices[variable], "an integer");
      }
      case "entry":
        return this.element(index.pointer, this.index(index.position));
      case "fromValue": {
        const value = this.value(index.value);
        return (frame) => Math.trunc(value(frame));
      }
      case "add": {
        const [left, right] = [this.index(index.left), this.index(index.right)];
        return (frame) => left(frame) + right(frame);
      }
      case "multiply": {
        const [left, right] = [this.index(index.left), this.index(index.right)];
        return (frame) => left(frame) * right(frame);
      }
    }
  }

  private value(expression: Value): Evaluation {
    switch (expression.kind) {
      case "constant": {
        const rounded = Math.fround(expression.value);
        return () => rounded;
      }
      case "variable": {
        const variable = this.numberOf(expression.name);
        return (frame) => present(frame.values[variable], "a value");
      }
      case "load":
      case "broadcast":
        return this.element(expression.pointer, this.index(expression.position));
      case "fromIndex": {
        const number = this.index(expression.index);
        return (frame) => Math.fround(number(frame));
      }
      case "unary": {
        const operand = this.value(expression.operand);
        const apply = unaryOps[expression.op];
        return (frame) => Math.fround(apply(operand(frame)));
      }
      case "binary": {
        const [left, right] = [this.value(expression.left), this.value(expression.right)];
        const apply = binaryOps[expression.op];
        return (frame) => Math.fround(apply(left(frame), right(frame)));
      }
      case "multiplyAdd": {
        const [left, right] = [this.value(expression.left), this.value(expression.right)];
        const addend = this.value(expression.addend);
        return (frame) => Math.fround(left(frame) * right(frame) + addend(frame));
      }
      case "select": {
        const [left, right] = [this.value(expression.left), this.value(expression.right)];
        const [chosen, other] = [this.value(expression.chosen), this.value(expression.other)];
        const compare = comparisons[expression.comparison];
        return (frame) => (compare(left(frame), right(frame)) ? chosen(frame) : other(frame));
      }
    }
  }
}
