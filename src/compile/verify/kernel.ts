import {
  bodiesOf,
  type Index,
  type Kernel,
  type Lanes,
  type Pointer,
  type Statement,
  type Value,
} from "../loops.js";
import type { Complain } from "./problem.js";

/** What a variable holds. */
type VariableType = "index" | Lanes;

/** Positions and counters are 32-bit integers. */
const LARGEST_INDEX = 2 ** 31 - 1;

/**
 * Checks a kernel by itself: every variable is set on every way to where it is read, and has one type; pointers are
 * declared, are read as what they point at, and are stored through only where they say so; values have the lanes of the
 * statement they stand in; loops with known limits run at least once, as back ends take for granted.
 * @param lanes of the target's vectors
 */
export function verifyKernel(kernel: Kernel, lanes: number, complain: Complain): void {
  new KernelVerifier(kernel, lanes, complain).verify();
}

class KernelVerifier {
  private readonly pointers = new Map<string, Pointer>();
  private readonly types = new Map<string, VariableType>();
  /** Variables that are set on every way to the statement that is looked at. */
  private assigned = new Set<string>();
  /** Of the loops around it. */
  private readonly counters = new Set<string>();

  constructor(
    private readonly kernel: Kernel,
    private readonly lanes: number,
    private readonly complain: Complain,
  ) {}

  verify(): void {
    for (const pointer of this.kernel.parameters) {
      if (this.pointers.has(pointer.name)) this.complain(`two parameters are called "${pointer.name}"`);
      this.pointers.set(pointer.name, pointer);
    }
    for (const body of bodiesOf(this.kernel)) {
      this.types.clear();
      this.assigned.clear();
      this.block(body);
    }
  }

  private block(statements: readonly Statement[]): void {
    for (const statement of statements) this.statement(statement);
  }

  private statement(statement: Statement): void {
    switch (statement.kind) {
      case "loop":
        this.loop(statement);
        return;
      case "setIndex":
        this.index(statement.value);
        this.set(statement.variable, "index");
        return;
      case "setValue":
        this.value(statement.value, statement.lanes);
        this.set(statement.variable, statement.lanes);
        return;
      case "store":
        this.store(statement);
        return;
      case "prefetch":
        this.pointer(statement.pointer);
        this.index(statement.position);
        return;
    }
  }

  private loop({ variable, from, to, step, body }: Extract<Statement, { kind: "loop" }>): void {
    this.index(from);
    this.index(to);
    if (!Number.isInteger(step) || step < 1)
      this.complain(`the step of loop "${variable}" is no positive integer`, { found: `${step}` });
    const isKnown = typeof from === "number" && typeof to === "number";
    if (isKnown && from >= to)
      this.complain(`loop "${variable}" with known limits never runs`, { found: `${from} to ${to}` });
    const before = new Set(this.assigned);
    this.set(variable, "index");
    this.counters.add(variable);
    this.block(body);
    this.counters.delete(variable);
    // What a loop sets that may not run at all is not set behind it.
    if (!isKnown) this.assigned = before;
    this.assigned.delete(variable);
  }

  private store({ lanes, count, pointer, position, value }: Extract<Statement, { kind: "store" }>): void {
    const { type, written } = this.pointer(pointer);
    if (!written) this.complain(`stores through "${pointer}", which it says it only reads`);
    if (type !== "f32")
      this.complain(`stores float32 through "${pointer}"`, { found: `a pointer to ${type}` });
    if (count !== undefined) this.storeCount(lanes, count);
    this.index(position);
    this.value(value, lanes);
  }

  private storeCount(lanes: Lanes, count: number): void {
    if (lanes === "vector" && Number.isInteger(count) && count >= 1 && count <= this.lanes) return;
    const expected = lanes === "vector" ? `1 to ${this.lanes}` : "no count for a single number";
    this.complain("stores an impossible number of lanes", { expected, found: `${count}` });
  }

  private set(variable: string, type: VariableType): void {
    if (this.pointers.has(variable)) this.complain(`"${variable}" is a parameter and a variable`);
    if (this.counters.has(variable)) this.complain(`"${variable}" is set inside of its own loop`);
    this.expectType(variable, type);
    this.types.set(variable, type);
    this.assigned.add(variable);
  }

  private read(variable: string, type: VariableType): void {
    if (!this.assigned.has(variable)) this.complain(`reads "${variable}" before it is set`);
    this.expectType(variable, type);
  }

  private expectType(variable: string, type: VariableType): void {
    const known = this.types.get(variable) ?? type;
    if (known === type) return;
    this.complain(`"${variable}" has two types`, { expected: known, found: type });
  }

  private pointer(name: string): Pointer {
    return this.pointers.get(name) ?? this.complain(`has no parameter "${name}"`);
  }

  private index(index: Index): void {
    if (typeof index === "number") {
      if (Number.isInteger(index) && Math.abs(index) <= LARGEST_INDEX) return;
      this.complain("a position is no integer of 32 bits", { found: `${index}` });
    }
    switch (index.kind) {
      case "variable":
        this.read(index.name, "index");
        return;
      case "entry": {
        const { type } = this.pointer(index.pointer);
        if (type === "f32")
          this.complain(`reads an integer through "${index.pointer}", which points at float32`);
        this.index(index.position);
        return;
      }
      case "fromValue":
        this.value(index.value, "scalar");
        return;
      case "add":
      case "multiply":
        this.index(index.left);
        this.index(index.right);
    }
  }

  private value(value: Value, lanes: Lanes): void {
    switch (value.kind) {
      case "constant":
        return;
      case "variable":
        this.read(value.name, lanes);
        return;
      case "load":
      case "broadcast": {
        const { type } = this.pointer(value.pointer);
        if (type !== "f32")
          this.complain(`reads float32 through "${value.pointer}"`, { found: `a pointer to ${type}` });
        this.index(value.position);
        return;
      }
      case "fromIndex":
        this.index(value.index);
        return;
      case "unary":
        this.value(value.operand, lanes);
        return;
      case "binary":
        this.value(value.left, lanes);
        this.value(value.right, lanes);
        return;
      case "multiplyAdd":
        for (const part of [value.left, value.right, value.addend]) this.value(part, lanes);
        return;
      case "select":
        for (const part of [value.left, value.right, value.chosen, value.other]) this.value(part, lanes);
    }
  }
}
