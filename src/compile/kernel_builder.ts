import { orDefault } from "../graph/at.js";
import type {
  BinaryOp,
  Comparison,
  Index,
  Kernel,
  Lanes,
  Pointer,
  Statement,
  UnaryOp,
  Value,
} from "./loops.js";

/** Sum of positions, with constants gathered into one at its end. */
export function plus(...given: readonly Index[]): Index {
  const terms = given.flatMap(apart);
  const constant = terms.reduce<number>((sum, term) => (typeof term === "number" ? sum + term : sum), 0);
  const rest = terms.filter((term) => typeof term !== "number");
  const sum = rest.reduce<Index | undefined>(
    (left, right) => (left === undefined ? right : { kind: "add", left, right }),
    undefined,
  );
  if (sum === undefined) return constant;
  return constant === 0 ? sum : { kind: "add", left: sum, right: constant };
}

/** A sum that ends with a constant as two terms. */
function apart(index: Index): readonly Index[] {
  if (typeof index === "number" || index.kind !== "add" || typeof index.right !== "number") return [index];
  return [index.left, index.right];
}

/** A product of positions; of sums that end with a constant, such a sum. */
export function times(left: Index, right: Index): Index {
  if (typeof left === "number" && typeof right === "number") return left * right;
  if (left === 0 || right === 0) return 0;
  if (left === 1) return right;
  if (right === 1) return left;
  const [term, shift] = apart(left);
  if (shift !== undefined && term !== undefined && typeof right === "number")
    return plus(times(term, right), times(shift, right));
  return { kind: "multiply", left, right };
}

export const entry = (pointer: Pointer, position: Index): Index => {
  return { kind: "entry", pointer: pointer.name, position };
};

/** A computed position, cut to 0 up to and including `last`, so that no input leads outside the memory. */
export const position = (value: Value, last: number): Index => {
  const notNegative = binary("pseudoMax", constant(0), value);
  return { kind: "fromValue", value: binary("pseudoMin", notNegative, constant(last)) };
};

export const constant = (value: number): Value => ({ kind: "constant", value });
export const load = (pointer: Pointer, position: Index): Value => {
  return { kind: "load", pointer: pointer.name, position };
};
export const broadcast = (pointer: Pointer, position: Index): Value => {
  return { kind: "broadcast", pointer: pointer.name, position };
};
export const fromIndex = (index: Index): Value => ({ kind: "fromIndex", index });
export const unary = (op: UnaryOp, operand: Value): Value => ({ kind: "unary", op, operand });
export const binary = (op: BinaryOp, left: Value, right: Value): Value => ({
  kind: "binary",
  op,
  left,
  right,
});
export const multiplyAdd = (left: Value, right: Value, addend: Value): Value => {
  return { kind: "multiplyAdd", left, right, addend };
};
export const select = (
  left: Value,
  comparison: Comparison,
  right: Value,
  chosen: Value,
  other: Value,
): Value => ({ kind: "select", comparison, left, right, chosen, other });

/** A float32 variable of a kernel under construction. */
export interface Variable {
  readonly read: Value;
  set(value: Value): void;
}

/** Collects the statements of one kernel. */
export class KernelBuilder {
  private readonly parameters: Pointer[] = [];
  private readonly named = new Map<string, number>();
  private statements: Statement[] = [];

  constructor(
    private readonly name: string,
    private readonly comment: string,
  ) {}

  /** Declares a parameter; arguments are passed in the order of declaration. */
  input(name: string, type: Pointer["type"] = "f32"): Pointer {
    return this.parameter({ name: this.fresh(name), type, written: false });
  }

  output(name: string): Pointer {
    return this.parameter({ name: this.fresh(name), type: "f32", written: true });
  }

  loop(name: string, from: Index, to: Index, step: number, body: (counter: Index) => void): void {
    if (typeof from === "number" && typeof to === "number" && to <= from) return;
    if (typeof from === "number" && typeof to === "number" && to - from <= step) {
      body(from);
      return;
    }
    const variable = this.fresh(name);
    const outside = this.statements;
    this.statements = [];
    body({ kind: "variable", name: variable });
    outside.push({ kind: "loop", variable, from, to, step, body: this.statements });
    this.statements = outside;
  }

  /** An integer variable: its value, and a way to change it. */
  index(name: string, value: Index): { readonly read: Index; set(value: Index): void } {
    const variable = this.fresh(name);
    const set = (next: Index): void => {
      this.statements.push({ kind: "setIndex", variable, value: next });
    };
    set(value);
    return { read: { kind: "variable", name: variable }, set };
  }

  value(name: string, lanes: Lanes, value: Value): Variable {
    const variable = this.fresh(name);
    const set = (next: Value): void => {
      this.statements.push({ kind: "setValue", variable, lanes, value: next });
    };
    set(value);
    return { read: { kind: "variable", name: variable }, set };
  }

  store(lanes: Lanes, pointer: Pointer, position: Index, value: Value, count?: number): void {
    const partial = count === undefined ? {} : { count };
    this.statements.push({ kind: "store", lanes, ...partial, pointer: pointer.name, position, value });
  }

  /** Says what will be read some turns of a loop later; the position may lie behind the memory. */
  prefetch(pointer: Pointer, position: Index): void {
    this.statements.push({ kind: "prefetch", pointer: pointer.name, position });
  }

  /**
   * Goes over `count` consecutive elements, vector by vector and what is left one by one.
   * @param width lanes of a vector
   */
  overElements(count: number, width: number, body: (lanes: Lanes, position: Index) => void): void {
    const whole = count - (count % width);
    this.loop("i", 0, whole, width, (i) => body("vector", i));
    this.loop("i", whole, count, 1, (i) => body("scalar", i));
  }

  build(): Kernel {
    return { name: this.name, comment: this.comment, parameters: this.parameters, body: this.statements };
  }

  private parameter(pointer: Pointer): Pointer {
    this.parameters.push(pointer);
    return pointer;
  }

  private fresh(name: string): string {
    const count = orDefault(this.named.get(name), 0);
    this.named.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  }
}
