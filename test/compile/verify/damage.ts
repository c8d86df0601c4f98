import assert from "node:assert/strict";
import type { Kernel, Statement } from "../../../src/compile/loops.js";
import type { Buffer, Location, Program, Step } from "../../../src/compile/program.js";
import { verifyProgram } from "../../../src/compile/verify/program.js";
import { PenniError } from "../../../src/graph/errors.js";

// Ways to damage one thing of a program that is otherwise real.

/** Any object in the loop language. */
type Part = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The kernel with the first part that `change` gives something else for; undefined if there is none. */
export function withPart(kernel: Kernel, change: (part: Part) => object | undefined): Kernel | undefined {
  let isDone = false;
  const visit = (value: unknown): unknown => {
    if (isDone || !isObject(value)) return value;
    if (Array.isArray(value)) return value.map(visit);
    const changed = change(value as Part);
    if (changed !== undefined) {
      isDone = true;
      return changed;
    }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner)]));
  };
  const body = visit(kernel.body) as readonly Statement[];
  return isDone ? { ...kernel, body } : undefined;
}

/** The kernel without one statement, at any depth. */
export function withoutStatement(kernel: Kernel, unwanted: Statement): Kernel {
  const rest = (body: readonly Statement[]): readonly Statement[] =>
    body
      .filter((statement) => statement !== unwanted)
      .map((statement) =>
        statement.kind === "loop" ? { ...statement, body: rest(statement.body) } : statement,
      );
  return { ...kernel, body: rest(kernel.body) };
}

/** All statements of a kernel, those in loops too, in order. */
export function statementsOf(body: readonly Statement[]): readonly Statement[] {
  return body.flatMap((statement) =>
    statement.kind === "loop" ? [statement, ...statementsOf(statement.body)] : [statement],
  );
}

export function withStep(program: Program, index: number, change: (step: Step) => Step): Program {
  return { ...program, steps: program.steps.map((step, at) => (at === index ? change(step) : step)) };
}

/** The program with another kernel in the first step whose kernel `change` gives one for. */
export function withKernel(program: Program, change: (kernel: Kernel) => Kernel | undefined): Program {
  for (const [index, step] of program.steps.entries()) {
    const kernel = change(step.kernel);
    if (kernel !== undefined) return withStep(program, index, () => ({ ...step, kernel }));
  }
  return assert.fail("no kernel of the program has such a part");
}

/** `withKernel`, `withPart`. */
export function withKernelPart(program: Program, change: (part: Part) => object | undefined): Program {
  return withKernel(program, (kernel) => withPart(kernel, change));
}

/** The program with other arguments: of each step, by parameter. */
export function withArguments(
  program: Program,
  change: (location: Location, parameter: Kernel["parameters"][number]) => Location,
): Program {
  const steps = program.steps.map((step) => ({
    ...step,
    arguments: step.arguments.map((location, index) => {
      const parameter = step.kernel.parameters[index];
      return parameter === undefined ? location : change(location, parameter);
    }),
  }));
  return { ...program, steps };
}

/** The program with another buffer in the place of one. */
export function withBuffer(program: Program, old: Buffer, changed: Buffer): Program {
  const replaced = <Holder extends { readonly buffer: Buffer }>(holder: Holder): Holder =>
    holder.buffer.id === old.id ? { ...holder, buffer: changed } : holder;
  return {
    ...withArguments(program, replaced),
    inputs: program.inputs.map(replaced),
    outputs: program.outputs.map(replaced),
  };
}

/** Asserts that the verifier finds the damage and says what it is, in an internal error. */
export function assertFound(
  program: Program,
  lanes: number,
  message: RegExp,
  plan?: Parameters<typeof verifyProgram>[2],
): void {
  assert.throws(
    () => verifyProgram(program, lanes, plan),
    (error) => {
      assert.ok(error instanceof PenniError && error.code === "internal", String(error));
      assert.match(error.message, message);
      assert.match(error.message, /the compiled program is wrong/);
      return true;
    },
  );
}
