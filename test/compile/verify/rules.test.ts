import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../../src/compile/compile.js";
import type { Statement } from "../../../src/compile/loops.js";
import { planMemory, planPrepared } from "../../../src/compile/memory_plan.js";
import type { Buffer, Program, Step } from "../../../src/compile/program.js";
import { verifyProgram } from "../../../src/compile/verify/program.js";
import { at, last } from "../../../src/graph/at.js";
import { type WeightsType, weightsTypes } from "../../../src/graph/weights_type.js";
import { Network } from "../../../support/network.js";
import { contractCases } from "../cases/index.js";
import { forcedRates } from "../contract_case.js";
import {
  assertFound,
  withArguments,
  withBuffer,
  withKernel,
  withKernelPart,
  withPart,
  withStep,
} from "./damage.js";
import "../self_checked.js";

// Each rule of `verifyProgram`: a real program with one thing damaged is refused, and the error names the rule.

const LANES = 8;

/** Two padded convolutions with a residual and bounds; memory of all kinds. */
function convolutions(
  rates: (typeof forcedRates)[keyof typeof forcedRates],
  prepares: readonly WeightsType[] = [],
): Program {
  const net = new Network(7, [4, 9, 9]);
  const first = net.relu(net.conv("x", 5, { pad: 1, bias: true, deadInputs: [1] }));
  const second = net.conv(first, 5, { pad: 1, basis: 3, bias: true });
  const sum = net.relu(net.op("Add", [second, first]));
  const target = { width: LANES, rates, prepares, isNative: true } as const;
  return compileProgram(net.graph([net.op("GlobalAveragePool", [sum])]), target);
}

/** The program with more statements at the ends of both bodies of its first convolution, the second one made up. */
function withMore(program: Program, usual: readonly Statement[], roomy: readonly Statement[]): Program {
  return withKernel(program, (kernel) => {
    if (!kernel.name.startsWith("dense_conv")) return undefined;
    const { body, roomyBody = body } = kernel;
    return { ...kernel, body: [...body, ...usual], roomyBody: [...roomyBody, ...roomy] };
  });
}

const dense = convolutions(forcedRates.dense);
const sparse = convolutions(forcedRates.sparse);
const ready = convolutions(forcedRates.tiles, weightsTypes);

function compiledCase(name: string): Program {
  const found = contractCases.find((contractCase) => contractCase.name === name);
  assert.ok(found, name);
  return compileProgram(found.graph, { width: LANES, rates: found.rates });
}

test("the programs are sound before they are damaged", () => {
  for (const program of [dense, sparse, ready, compiledCase("Gather: computed")])
    verifyProgram(program, LANES);
});

const indexOf = (program: Program, kernel: RegExp): number => {
  const index = program.steps.findIndex((step) => kernel.test(step.kernel.name));
  assert.ok(index >= 0, `a step of ${kernel}`);
  return index;
};

/** A step's argument by the name of its parameter. */
function argumentOf(program: Program, kernel: RegExp, parameter: string): Buffer {
  const step = at(program.steps, indexOf(program, kernel));
  const index = step.kernel.parameters.findIndex(({ name }) => name === parameter);
  return at(step.arguments, index).buffer;
}

const one = { kind: "constant", value: 1 } as const;

const kernelRules: Readonly<Record<string, readonly [damaged: () => Program, message: RegExp]>> = {
  "a value that nothing sets": [
    () =>
      withKernelPart(dense, (part) => (part.kind === "variable" ? { ...part, name: "nobody" } : undefined)),
    /reads "nobody" before it is set/,
  ],
  "a variable that another body sets": [
    () => {
      const read = { kind: "variable", name: "first" } as const;
      return withMore(
        dense,
        [{ kind: "setIndex", variable: "first", value: 0 }],
        [{ kind: "setIndex", variable: "second", value: read }],
      );
    },
    /reads "first" before it is set/,
  ],
  "a variable that only a loop sets which may not run": [
    () =>
      withKernel(sparse, (kernel) => {
        const body = kernel.body.flatMap((statement) => (statement.kind === "loop" ? [statement] : []));
        const [loop] = body;
        const end = kernel.parameters.find(({ type }) => type === "u16");
        if (loop === undefined || end === undefined) return undefined;
        const to = { kind: "entry", pointer: end.name, position: 0 } as const;
        const set = { kind: "setIndex", variable: "late", value: 0 } as const;
        const read = {
          kind: "setIndex",
          variable: "copy",
          value: { kind: "variable", name: "late" },
        } as const;
        const maybe = { ...loop, variable: "maybe", from: 0, to, body: [set] };
        return { ...kernel, body: [maybe, read, ...kernel.body] };
      }),
    /reads "late" before it is set/,
  ],
  "a counter behind its loop": [
    () =>
      withKernel(dense, (kernel) => {
        const loop = kernel.body.find((statement) => statement.kind === "loop");
        if (loop?.kind !== "loop") return undefined;
        const value = { kind: "variable", name: loop.variable } as const;
        return { ...kernel, body: [...kernel.body, { kind: "setIndex", variable: "copy", value }] };
      }),
    /reads "\w+" before it is set/,
  ],
  "a counter that its loop sets": [
    () =>
      withKernelPart(dense, (part) => {
        if (part.kind !== "loop") return undefined;
        const set = { kind: "setIndex", variable: part.variable, value: 0 };
        return { ...part, body: [set, ...(part.body as readonly object[])] };
      }),
    /is set inside of its own loop/,
  ],
  "a vector read as a number": [
    () =>
      withKernelPart(dense, (part) =>
        part.kind === "setValue" && part.lanes === "vector" ? { ...part, lanes: "scalar" } : undefined,
      ),
    /"\w+" has two types/,
  ],
  "an integer read as a value": [
    () =>
      withKernelPart(dense, (part) =>
        part.kind === "setIndex"
          ? { kind: "setValue", variable: part.variable, lanes: "scalar", value: one }
          : undefined,
      ),
    /"\w+" has two types/,
  ],
  "a parameter set like a variable": [
    () =>
      withKernel(dense, (kernel) => {
        const { name } = at(kernel.parameters, 0);
        return { ...kernel, body: [{ kind: "setIndex", variable: name, value: 0 }, ...kernel.body] };
      }),
    /is a parameter and a variable/,
  ],
  "two parameters of the same name": [
    () =>
      withKernel(dense, (kernel) => ({
        ...kernel,
        parameters: kernel.parameters.map((pointer) => ({ ...pointer, name: "same" })),
      })),
    /two parameters are called "same"/,
  ],
  "a pointer that is not declared": [
    () =>
      withKernelPart(dense, (part) => (part.kind === "load" ? { ...part, pointer: "nowhere" } : undefined)),
    /has no parameter "nowhere"/,
  ],
  "a store through what is only read": [
    () =>
      withKernel(dense, (kernel) => ({
        ...kernel,
        parameters: kernel.parameters.map((pointer) => ({ ...pointer, written: false })),
      })),
    /stores through "output", which it says it only reads/,
  ],
  "float32 out of a table": [
    () =>
      withKernel(sparse, (kernel) => {
        const table = kernel.parameters.find(({ type }) => type !== "f32");
        if (table === undefined) return undefined;
        return withPart(kernel, (part) =>
          part.kind === "broadcast" ? { ...part, pointer: table.name } : undefined,
        );
      }),
    /reads float32 through "counts".*u16/,
  ],
  "an integer out of float32": [
    () =>
      withKernelPart(sparse, (part) => (part.kind === "entry" ? { ...part, pointer: "values" } : undefined)),
    /reads an integer through "values"/,
  ],
  "a store into a table": [
    () =>
      withKernel(dense, (kernel) => {
        const table = kernel.parameters.find(({ type }) => type !== "f32");
        if (table === undefined) return undefined;
        const parameters = kernel.parameters.map((pointer) => ({ ...pointer, written: true }));
        return withPart({ ...kernel, parameters }, (part) =>
          part.kind === "store" ? { ...part, pointer: table.name } : undefined,
        );
      }),
    /stores float32 through|writes a constant/,
  ],
  "a loop that stands still": [
    () => withKernelPart(dense, (part) => (part.kind === "loop" ? { ...part, step: 0 } : undefined)),
    /step of loop "\w+" is no positive integer/,
  ],
  "a loop with known limits that never runs": [
    () => withKernelPart(dense, (part) => (part.kind === "loop" ? { ...part, to: part.from } : undefined)),
    /loop "\w+" with known limits never runs/,
  ],
  "half a position": [
    () => withKernelPart(dense, (part) => (part.kind === "store" ? { ...part, position: 0.5 } : undefined)),
    /a position is no integer of 32 bits/,
  ],
  "more lanes stored than there are": [
    () => withKernelPart(dense, (part) => (part.kind === "store" ? { ...part, count: 9 } : undefined)),
    /impossible number of lanes: expected 1 to 8, found 9/,
  ],
  "a position out of computed numbers that is not cut to a range": [
    () =>
      withKernelPart(compiledCase("Gather: computed"), (part) => {
        if (part.kind !== "fromValue") return undefined;
        return { ...part, value: { kind: "variable", name: "stated" } };
      }),
    /a computed position is not cut to a range/,
  ],
  "a position that is cut only from above, where NaN passes": [
    () =>
      withKernelPart(compiledCase("Gather: computed"), (part) => {
        const { value } = part as { readonly value?: { readonly left?: { readonly right?: object } } };
        if (part.kind !== "fromValue") return undefined;
        return { ...part, value: { ...value, left: value?.left?.right } };
      }),
    /a computed position is not cut to a range/,
  ],
};

for (const [name, [damaged, message]] of Object.entries(kernelRules)) {
  test(`kernel: ${name}`, () => assertFound(damaged(), LANES, message));
}

/** The entries of a table among the weights, changed. */
function withTable(program: Program, buffer: Buffer, change: (entries: Uint16Array) => void): Program {
  const weights = program.weights.slice();
  const offset = program.weightOffsets.get(buffer.id);
  assert.ok(offset !== undefined);
  change(new Uint16Array(weights.buffer, offset, buffer.size / 2));
  return { ...program, weights };
}

const lastTap = (program: Program): Buffer => argumentOf(program, /dense_conv/, "taps");

const addressRules: Readonly<Record<string, readonly [damaged: () => Program, message: RegExp]>> = {
  "a loop that runs too far": [
    () =>
      withKernel(dense, (kernel) => {
        if (!kernel.name.startsWith("dense_conv")) return undefined;
        return withPart(kernel, (part) =>
          part.kind === "loop" ? { ...part, to: Number(part.to) + Number(part.step) } : undefined,
        );
      }),
    /reads outside of|writes outside of/,
  ],
  "a store one element too far": [
    () =>
      withKernelPart(dense, (part) => {
        if (part.kind !== "store") return undefined;
        return { ...part, position: { kind: "add", left: part.position, right: 10 ** 4 } };
      }),
    /writes outside of "output"/,
  ],
  "a store before the beginning, on machines with more registers": [
    () =>
      withMore(dense, [], [{ kind: "store", lanes: "scalar", pointer: "output", position: -1, value: one }]),
    /writes outside of "output": expected elements 0 to \d+, found element -1/,
  ],
  "a load before the beginning": [
    () => withKernelPart(dense, (part) => (part.kind === "load" ? { ...part, position: -1 } : undefined)),
    /reads outside of "\w+": expected elements 0 to \d+, found element -1/,
  ],
  "a step between weights that is too long": [
    () => withTable(sparse, argumentOf(sparse, /sparse_conv/, "steps"), (steps) => steps.fill(0xffff, 3, 4)),
    /sparse_conv\w*: reads outside of "input"/,
  ],
  "a weight too many": [
    () =>
      withTable(sparse, argumentOf(sparse, /sparse_conv/, "counts"), (counts) => {
        counts[counts.length - 1] = 1 + (counts.at(-1) ?? 0);
      }),
    /sparse_conv\w*: reads outside of "(?:steps|values)"/,
  ],
  "a tap outside of the plane": [
    () =>
      withTable(dense, lastTap(dense), (entries) => {
        entries[entries.length - 1] = 1;
      }),
    /dense_conv\w*: reads outside of "input"/,
  ],
  "an argument that begins too late": [
    () =>
      withArguments(dense, (location, { written }) =>
        written && location.buffer.kind === "value" ? { ...location, offset: location.offset + 1 } : location,
      ),
    /writes outside of "output"/,
  ],
  "a vector read behind the caller's memory": [
    () => {
      const { buffer } = at(dense.inputs, 0);
      const step = indexOf(dense, /^pad/);
      return withStep(dense, step, (given) => ({
        ...given,
        kernel:
          withPart(given.kernel, (part) => {
            if (part.kind !== "store" || part.lanes !== "vector") return undefined;
            return { ...part, value: { kind: "load", pointer: "input", position: buffer.size - LANES + 1 } };
          }) ?? assert.fail("a vector is stored"),
      }));
    },
    /reads outside of "input"/,
  ],
};

for (const [name, [damaged, message]] of Object.entries(addressRules)) {
  test(`addresses: ${name}`, () => assertFound(damaged(), LANES, message));
}

const firstWeights = (program: Program): Buffer => argumentOf(program, /dense_conv/, "weights");

const bufferRules: Readonly<Record<string, readonly [damaged: () => Program, message: RegExp]>> = {
  "an argument too few": [
    () => withStep(dense, 0, (step) => ({ ...step, arguments: step.arguments.slice(1) })),
    /called with the wrong number of arguments: expected 2, found 1/,
  ],
  "steps in the wrong order": [
    () => ({ ...dense, steps: dense.steps.toReversed() }),
    /"\w+" is read, and no step before has written it/,
  ],
  "an output that nothing writes": [
    () => ({ ...dense, steps: dense.steps.slice(0, -1) }),
    /nothing writes the output "/,
  ],
  "an input that is written": [
    () => {
      const { buffer } = at(dense.inputs, 0);
      return withArguments(dense, (location, { written }) =>
        written && location.buffer.kind === "value" ? { buffer, offset: 0 } : location,
      );
    },
    /writes an input through "output"/,
  ],
  "an input of somebody else": [
    () => {
      const { buffer } = at(dense.inputs, 0);
      return { ...withBuffer(dense, buffer, { ...buffer, id: 10 ** 6 }), inputs: dense.inputs };
    },
    /gets an input of another program/,
  ],
  "an input of another size": [
    () => {
      const { buffer } = at(dense.inputs, 0);
      return withBuffer(dense, buffer, { ...buffer, size: buffer.size + 1 });
    },
    /the input "x" has the wrong memory/,
  ],
  "a constant that lies nowhere": [
    () => ({ ...dense, weightOffsets: new Map() }),
    /constant \d+ lies nowhere/,
  ],
  "a constant that is not aligned": [
    () => withOffset(dense, firstWeights(dense), (offset) => offset + 4),
    /constant \d+ is not aligned/,
  ],
  "constants that overlap": [
    () => withOffset(dense, last([...dense.weightOffsets.keys()]), () => 0),
    /constant \d+ overlaps another/,
  ],
  "weights that are cut off": [
    () => ({ ...dense, weights: dense.weights.subarray(0, dense.weights.length - 16) }),
    /constant \d+ ends behind the weights/,
  ],
  "a constant that is written": [
    () =>
      withArguments(dense, (location, { written }) =>
        written && location.buffer.kind === "value" ? { buffer: firstWeights(dense), offset: 0 } : location,
      ),
    /writes a constant through "output"/,
  ],
  "a table out of computed memory": [
    () => {
      const { buffer } = at(dense.inputs, 0);
      return withArguments(dense, (location, { type }) =>
        type === "i32" ? { buffer, offset: 0 } : location,
      );
    },
    /"taps" points at i32 and gets memory of the kind "input"/,
  ],
  "a table from its middle on": [
    () =>
      withArguments(dense, (location, { type }) => (type === "i32" ? { ...location, offset: 1 } : location)),
    /"taps" begins inside of a table/,
  ],
  "a constant of two types": [
    () => {
      const taps = lastTap(dense);
      return withArguments(dense, (location, { name }) =>
        name === "bias" ? { buffer: taps, offset: 0 } : location,
      );
    },
    /constant \d+ is read as two types: expected i32, found f32/,
  ],
  "half an element": [
    () => withArguments(dense, (location) => ({ ...location, offset: 0.5 })),
    /lies at no element/,
  ],
};

/** What is prepared by the last call before the first run, and read by runs. */
const lastPrepared = last(last(ready.preparation).arguments).buffer;

const withPreparation = (change: (step: Step) => Step): Program => ({
  ...ready,
  preparation: ready.preparation.map(change),
});

const preparationRules: Readonly<Record<string, readonly [damaged: () => Program, message: RegExp]>> = {
  "nothing prepared of what runs read": [
    () => ({ ...ready, preparation: [] }),
    /"\w+" is read, and no step before has written it/,
  ],
  "calls in the wrong order": [
    () => ({ ...ready, preparation: ready.preparation.toReversed() }),
    /"\w+" is read, and no step before has written it/,
  ],
  "a call before the first run that uses memory of runs": [
    () => {
      const { buffer } = at(ready.inputs, 0);
      const isLast = (step: Step): boolean => step === last(ready.preparation);
      return withPreparation((step) =>
        isLast(step) ? { ...step, arguments: [{ buffer, offset: 0 }, last(step.arguments)] } : step,
      );
    },
    /uses memory of the kind "input" before the first run/,
  ],
  "a run that writes what all runs read": [
    () =>
      withArguments(ready, (location, { written }) =>
        written && location.buffer.kind === "scratch" ? { buffer: lastPrepared, offset: 0 } : location,
      ),
    /writes what was prepared for all runs through "\w+"/,
  ],
  "kernels that are not there": [
    () =>
      withPreparation((step) => ({
        ...step,
        arguments: step.arguments.map((location, index) =>
          step.kernel.parameters[index]?.written === true ? { ...location, offset: 16 } : location,
        ),
      })),
    /writes outside of "\w+"/,
  ],
  "a coefficient of a channel that is not there": [
    () => {
      const step = ready.preparation.find(({ kernel }) => kernel.name === "merge_factors");
      const shape = step?.arguments[0]?.buffer;
      assert.ok(shape !== undefined);
      const weights = ready.weights.slice();
      const offset = ready.weightOffsets.get(shape.id);
      assert.ok(offset !== undefined);
      const [inputs] = new Int32Array(weights.buffer, offset, 1);
      new Int32Array(weights.buffer, offset, 1).fill(4 * (inputs ?? 0));
      return { ...ready, weights };
    },
    /merge_factors: (?:writes|reads) outside of/,
  ],
};

for (const [name, [damaged, message]] of Object.entries(preparationRules)) {
  test(`preparation: ${name}`, () => assertFound(damaged(), LANES, message));
}

test("preparation: what runs read shares no place with what was made after it", () => {
  const prepared = planPrepared(ready);
  const [first, ...others] = prepared.offsets.keys();
  assert.ok(first !== undefined && others.length > 2);
  const offsets = new Map([...prepared.offsets].map(([id]) => [id, 0]));
  assert.throws(
    () => verifyProgram(ready, LANES, planMemory(ready), { ...prepared, offsets }),
    /two buffers overlap in the arena/,
  );
});

function withOffset(program: Program, buffer: Buffer | number, change: (offset: number) => number): Program {
  const id = typeof buffer === "number" ? buffer : buffer.id;
  const offset = program.weightOffsets.get(id);
  assert.ok(offset !== undefined);
  return { ...program, weightOffsets: new Map(program.weightOffsets).set(id, change(offset)) };
}

for (const [name, [damaged, message]] of Object.entries(bufferRules)) {
  test(`buffers: ${name}`, () => assertFound(damaged(), LANES, message));
}

const plan = planMemory(dense);
const [someBuffer = assert.fail("a buffer"), otherBuffer = assert.fail("another")] = plan.offsets.keys();

/** The first two buffers of a step that both lie in the arena. */
function neighbours(): readonly [number, number] {
  for (const step of dense.steps) {
    const ids = step.arguments.map(({ buffer }) => buffer.id).filter((id) => plan.offsets.has(id));
    const [a, b] = new Set(ids);
    if (a !== undefined && b !== undefined) return [a, b];
  }
  return assert.fail("no step uses two buffers");
}

const planRules: Readonly<
  Record<string, readonly [damaged: () => ReturnType<typeof planMemory>, message: RegExp]>
> = {
  "buffers of one step in the same place": [
    () => {
      const [a, b] = neighbours();
      return { ...plan, offsets: new Map(plan.offsets).set(a, plan.offsets.get(b) ?? 0) };
    },
    /two buffers overlap in the arena that step \d+ needs both/,
  ],
  "no room for a vector behind a buffer": [
    () => {
      const [a, b] = neighbours();
      const size = dense.steps.flatMap((step) => step.arguments).find(({ buffer }) => buffer.id === b)
        ?.buffer.size;
      const far = (plan.offsets.get(b) ?? 0) + (size ?? 0);
      return { size: 10 ** 6, offsets: new Map(plan.offsets).set(a, far) };
    },
    /two buffers overlap in the arena/,
  ],
  "a buffer without a place": [
    () => ({ ...plan, offsets: new Map([...plan.offsets].filter(([id]) => id !== someBuffer)) }),
    /buffer \d+ has no place in the arena/,
  ],
  "an arena that is too small": [
    () => ({ ...plan, size: plan.size / 2 }),
    /buffer \d+ lies outside of the arena/,
  ],
  "a buffer before the arena": [
    () => ({ ...plan, offsets: new Map(plan.offsets).set(otherBuffer, -16) }),
    /buffer \d+ lies outside of the arena: .*found -16/,
  ],
};

for (const [name, [damaged, message]] of Object.entries(planRules)) {
  test(`arena: ${name}`, () => assertFound(dense, LANES, message, damaged()));
}
