import { at, present } from "../../graph/at.js";
import { bodiesOf, type Index, type Lanes, type Statement, type Value } from "../loops.js";
import type { Buffer, Step } from "../program.js";
import {
  counterInterval,
  exactly,
  type Interval,
  isExact,
  isKnown,
  positionOf,
  product,
  sum,
  unknown,
} from "./intervals.js";
import type { Complain } from "./problem.js";
import { elementBytes, type Tables } from "./tables.js";

/** Rounds of loops that are gone through one by one; where they do not last, positions are left unknown. */
export interface Patience {
  rounds: number;
}

export interface AddressCheck {
  readonly tables: Tables;
  /** Of the target's vectors. */
  readonly lanes: number;
  readonly patience: Patience;
  readonly complain: Complain;
}

/**
 * Checks that a step stays inside its buffers: goes through its kernel with the interval in which each integer lies.
 * Loops that carry an integer from one round to the next are gone through round by round, as long as patience lasts.
 * The kernel itself must have passed `verifyKernel`.
 */
export function verifyAddresses(step: Step, check: AddressCheck): void {
  new AddressVerifier(step, check).verify();
}

/** What a parameter points at, in its own elements. */
interface Memory {
  readonly buffer: Buffer;
  readonly size: number;
  /** Where position 0 lies. */
  readonly base: number;
}

/** Buffers behind which there is room: of a vector that is loaded from their last element on, the rest does not matter. */
const roomBehind: Readonly<Record<Buffer["kind"], boolean>> = {
  value: true,
  scratch: true,
  weights: true,
  prepared: true,
  input: false,
  output: false,
};

class AddressVerifier {
  private readonly memories: ReadonlyMap<string, Memory>;
  private integers = new Map<string, Interval>();

  constructor(
    private readonly step: Step,
    private readonly check: AddressCheck,
  ) {
    this.memories = new Map(
      step.kernel.parameters.map(({ name, type }, index) => {
        const { buffer, offset } = at(step.arguments, index);
        const size = buffer.kind === "weights" ? buffer.size / elementBytes[type] : buffer.size;
        return [name, { buffer, size, base: offset }];
      }),
    );
  }

  verify(): void {
    for (const body of bodiesOf(this.step.kernel)) {
      this.integers.clear();
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
        this.integers.set(statement.variable, this.index(statement.value));
        return;
      case "setValue":
        this.value(statement.value, statement.lanes);
        return;
      case "prefetch":
        this.index(statement.position);
        return;
      case "store": {
        const { pointer, position, lanes, count, value } = statement;
        const elements = lanes === "scalar" ? 1 : (count ?? this.check.lanes);
        this.access("writes", pointer, this.index(position), elements);
        this.value(value, lanes);
        return;
      }
    }
  }

  private loop(loop: Extract<Statement, { kind: "loop" }>): void {
    const [from, to] = [this.index(loop.from), this.index(loop.to)];
    const counter = counterInterval(from, to, loop.step);
    if (counter.low > counter.high) return;
    const outside = new Set(this.integers.keys());
    const carried = [...setIn(loop.body)].filter((name) => outside.has(name));
    if (carried.length === 0) this.round(loop, counter);
    else if (isExact(from) && isExact(to)) this.rounds(loop, counter, carried);
    else this.roundWithout(loop, counter, carried);
    for (const name of this.integers.keys()) if (!outside.has(name)) this.integers.delete(name);
  }

  private round({ variable, body }: Extract<Statement, { kind: "loop" }>, counter: Interval): void {
    this.integers.set(variable, counter);
    this.block(body);
  }

  private rounds(
    loop: Extract<Statement, { kind: "loop" }>,
    counter: Interval,
    carried: readonly string[],
  ): void {
    for (let round = counter.low; round <= counter.high; round += loop.step) {
      this.check.patience.rounds -= 1;
      if (this.check.patience.rounds < 0) {
        this.roundWithout(loop, counter, carried);
        return;
      }
      this.round(loop, exactly(round));
    }
  }

  /** All rounds at once, in which nothing is known of the integers that they carry on. */
  private roundWithout(
    loop: Extract<Statement, { kind: "loop" }>,
    counter: Interval,
    carried: readonly string[],
  ): void {
    const forget = (): void => {
      for (const name of carried) this.integers.set(name, unknown);
    };
    forget();
    this.round(loop, counter);
    forget();
  }

  private index(index: Index): Interval {
    if (typeof index === "number") return exactly(index);
    switch (index.kind) {
      case "variable":
        return this.integers.get(index.name) ?? unknown;
      case "add":
        return sum(this.index(index.left), this.index(index.right));
      case "multiply":
        return product(this.index(index.left), this.index(index.right));
      case "entry":
        return this.entry(index.pointer, this.index(index.position));
      case "fromValue": {
        this.value(index.value, "scalar");
        const found = positionOf(index.value, (inner) => this.index(inner));
        if (isKnown(found)) return found;
        return this.check.complain(
          "a computed position is not cut to a range, and may lead outside the memory",
        );
      }
    }
  }

  private entry(pointer: string, position: Interval): Interval {
    this.access("reads", pointer, position, 1);
    const { buffer, size, base } = this.memory(pointer);
    const type = present(this.step.kernel.parameters.find(({ name }) => name === pointer)).type;
    const first = Math.max(0, base + position.low);
    return this.check.tables.entries(buffer, type, first, Math.min(size - 1, base + position.high));
  }

  private value(value: Value, lanes: Lanes): void {
    switch (value.kind) {
      case "constant":
      case "variable":
        return;
      case "load":
        this.access(
          "reads",
          value.pointer,
          this.index(value.position),
          lanes === "scalar" ? 1 : this.check.lanes,
        );
        return;
      case "broadcast":
        this.access("reads", value.pointer, this.index(value.position), 1);
        return;
      case "fromIndex":
        this.index(value.index);
        return;
      case "unary":
        this.value(value.operand, lanes);
        return;
      case "binary":
        for (const part of [value.left, value.right]) this.value(part, lanes);
        return;
      case "multiplyAdd":
        for (const part of [value.left, value.right, value.addend]) this.value(part, lanes);
        return;
      case "select":
        for (const part of [value.left, value.right, value.chosen, value.other]) this.value(part, lanes);
    }
  }

  /** @param elements that are read or written from the position on */
  private access(verb: "reads" | "writes", pointer: string, { low, high }: Interval, elements: number): void {
    const { buffer, size, base } = this.memory(pointer);
    const mayPass = verb === "reads" && roomBehind[buffer.kind];
    const [first, last] = [base + low, base + high + (mayPass ? 1 : elements) - 1];
    // What is unknown is not checked.
    const isBefore = Number.isFinite(first) && first < 0;
    const isBehind = Number.isFinite(last) && last >= size;
    if (!isBefore && !isBehind) return;
    this.check.complain(`${verb} outside of "${pointer}"`, {
      expected: `elements 0 to ${size - 1}`,
      found: `element ${isBefore ? first : last}`,
    });
  }

  private memory(pointer: string): Memory {
    return present(this.memories.get(pointer));
  }
}

const setsByBody = new WeakMap<readonly Statement[], ReadonlySet<string>>();

/** The integers that statements set, those of loops inside included. */
function setIn(body: readonly Statement[]): ReadonlySet<string> {
  const known = setsByBody.get(body);
  if (known !== undefined) return known;
  const found = new Set(
    body.flatMap((statement) => {
      if (statement.kind === "loop") return [...setIn(statement.body)];
      return statement.kind === "setIndex" ? [statement.variable] : [];
    }),
  );
  setsByBody.set(body, found);
  return found;
}
