import { at, orDefault } from "../../graph/at.js";
import { elementCount } from "../../graph/tensor.js";
import type { Pointer, PointerType } from "../loops.js";
import { type Buffer, type Location, type Program, type Step, WEIGHT_ALIGNMENT } from "../program.js";
import { type Complain, complainOf, complainOfProgram } from "./problem.js";
import { elementBytes } from "./tables.js";

/**
 * Checks how the steps of a program use memory: each argument fits its parameter; only values, scratch and outputs are
 * written, and before the first run only what is prepared; each is written before it is read; constants lie among the
 * weights, apart, and are read as one type.
 */
export function verifyBuffers(program: Program): void {
  verifyPorts(program);
  verifyWeights(program);
  const state: State = {
    ports: new Set([...program.inputs, ...program.outputs].map(({ buffer }) => buffer.id)),
    written: new Set(program.inputs.map(({ buffer }) => buffer.id)),
    weightTypes: new Map(),
  };
  for (const step of program.preparation) verifyPreparation(step, state);
  for (const step of program.steps) verifyRun(step, state);
  for (const { name, buffer } of program.outputs) {
    if (buffer.size > 0 && !state.written.has(buffer.id))
      complainOfProgram(`nothing writes the output "${name}"`);
  }
}

interface State {
  /** Buffers whose memory is the caller's. */
  readonly ports: ReadonlySet<number>;
  /** Buffers that hold something by now. */
  readonly written: Set<number>;
  readonly weightTypes: Map<number, PointerType>;
}

function verifyPorts({ inputs, outputs }: Program): void {
  for (const [kind, ports] of [["input", inputs] as const, ["output", outputs] as const]) {
    for (const { name, dims, buffer } of ports) {
      if (buffer.kind === kind && buffer.size === elementCount(dims)) continue;
      complainOfProgram(`the ${kind} "${name}" has the wrong memory`, {
        expected: `${kind}, ${elementCount(dims)} elements`,
        found: `${buffer.kind}, ${buffer.size} elements`,
      });
    }
  }
}

function verifyWeights({ preparation, steps, weights, weightOffsets }: Program): void {
  const used = new Map<number, Buffer>();
  for (const step of [...preparation, ...steps]) {
    for (const { buffer } of step.arguments) if (buffer.kind === "weights") used.set(buffer.id, buffer);
  }
  const placed = [...used.values()].map(({ id, size }) => {
    const from = weightOffsets.get(id) ?? complainOfProgram(`constant ${id} lies nowhere`);
    return { id, from, to: from + size };
  });
  let end = 0;
  for (const { id, from, to } of placed.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    if (from % WEIGHT_ALIGNMENT !== 0)
      complainOfProgram(`constant ${id} is not aligned`, { found: `byte ${from}` });
    if (from < end) complainOfProgram(`constant ${id} overlaps another`, { found: `byte ${from}` });
    if (to > weights.length) {
      complainOfProgram(`constant ${id} ends behind the weights`, {
        expected: `${weights.length} bytes`,
        found: `${to}`,
      });
    }
    end = to;
  }
}

function verifyPreparation(step: Step, state: State): void {
  const complain = complainOf(step);
  for (const { buffer } of step.arguments) {
    if (buffer.kind !== "weights" && buffer.kind !== "prepared")
      complain(`uses memory of the kind "${buffer.kind}" before the first run`);
  }
  verifyStep(step, state);
}

function verifyRun(step: Step, state: State): void {
  const complain = complainOf(step);
  step.kernel.parameters.forEach(({ name, written }, index) => {
    if (written && step.arguments[index]?.buffer.kind === "prepared")
      complain(`writes what was prepared for all runs through "${name}"`);
  });
  verifyStep(step, state);
}

function verifyStep(step: Step, state: State): void {
  const complain = complainOf(step);
  const { parameters } = step.kernel;
  if (parameters.length !== step.arguments.length) {
    complain("it is called with the wrong number of arguments", {
      expected: `${parameters.length}`,
      found: `${step.arguments.length}`,
    });
  }
  const given = parameters.map((pointer, index) => ({
    pointer,
    location: at(step.arguments, index),
    complain,
  }));
  for (const argument of given) verifyArgument(argument, state);
  for (const { pointer, location } of given) if (pointer.written) state.written.add(location.buffer.id);
}

interface Argument {
  readonly pointer: Pointer;
  readonly location: Location;
  readonly complain: Complain;
}

function verifyArgument(argument: Argument, state: State): void {
  const { pointer, location, complain } = argument;
  const { name, type, written } = pointer;
  const { buffer, offset } = location;
  if (!Number.isInteger(offset)) complain(`"${name}" lies at no element`, { found: `${offset}` });
  if (buffer.kind === "weights") {
    verifyConstant(argument, state);
    return;
  }
  if (type !== "f32") complain(`"${name}" points at ${type} and gets memory of the kind "${buffer.kind}"`);
  const isPort = buffer.kind === "input" || buffer.kind === "output";
  if (isPort && !state.ports.has(buffer.id)) complain(`"${name}" gets an ${buffer.kind} of another program`);
  if (buffer.kind === "input" && written) complain(`writes an input through "${name}"`);
  const isFilled = state.written.has(buffer.id) || buffer.size === 0;
  if (!written && !isFilled) complain(`"${name}" is read, and no step before has written it`);
}

function verifyConstant({ pointer, location, complain }: Argument, { weightTypes }: State): void {
  const { name, type, written } = pointer;
  const { buffer, offset } = location;
  if (written) complain(`writes a constant through "${name}"`);
  if (type !== "f32" && offset !== 0)
    complain(`"${name}" begins inside of a table`, { found: `at ${offset}` });
  if (buffer.size % elementBytes[type] !== 0) complain(`"${name}" is no whole number of ${type}`);
  const known = orDefault(weightTypes.get(buffer.id), type);
  if (known !== type)
    complain(`constant ${buffer.id} is read as two types`, { expected: known, found: type });
  weightTypes.set(buffer.id, type);
}
