import { at, orDefault } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { readClassNames } from "../../graph/image_metadata.js";
import {
  type CComment,
  type CIdentifier,
  type CString,
  cComment,
  cString,
  terminalLine,
} from "../../text/destinations.js";
import type { WeightsPlace } from "../backend.js";
import { type KernelPool, uniqueKernels } from "../kernel_pool.js";
import type { Kernel, Pointer } from "../loops.js";
import { type MemoryPlan, planMemory, planPrepared } from "../memory_plan.js";
import type { PackedWeights } from "../packing.js";
import type { Location, Program, Step } from "../program.js";
import {
  type CConstant,
  constantDeclaration,
  constantDefinitions,
  constantTypes,
  constantValues,
  findConstants,
} from "./constants.js";
import { elementTypes, type PrintedKernel, printKernel } from "./kernel_printer.js";
import { Names, wrapped } from "./names.js";
import { type CPorts, namePorts } from "./ports.js";
import { type Expansion, packedArray, packedForC, unpackFunction, unpackNames } from "./unpack.js";
import { preludeNames, vectorPrelude } from "./vectors.js";

/** One call of a kernel. */
export interface CStep extends Pick<Step, "kernel" | "arguments"> {
  /** The node that it computes, where the step before computes another. */
  readonly title: CComment | undefined;
}

export interface CPrepared {
  readonly steps: readonly CStep[];
  readonly plan: MemoryPlan;
}

/** What the files of one program have in common: its names only as they may be printed into C. */
export interface CUnit {
  readonly program: Pick<Program, "weights" | "metadata">;
  /** The network's name. */
  readonly title: CComment;
  readonly steps: readonly CStep[];
  /** At least one, if there are any. */
  readonly classNames: readonly CString[] | undefined;
  readonly name: CIdentifier;
  /** What macros begin with. */
  readonly macro: CIdentifier;
  readonly ports: CPorts;
  readonly plan: MemoryPlan;
  readonly weights: WeightsPlace;
  /** Where they are packed: to be expanded into memory that `NAME_run` is given. */
  readonly packed: PackedWeights | undefined;
  /** What is made of weights before the first run, if anything: behind expanded ones, else in memory of its own. */
  readonly prepared: CPrepared | undefined;
  readonly constants: readonly CConstant[];
}

/** Plans a program's memory and names its parts. */
export function cUnit(program: Program, name: CIdentifier, weights: WeightsPlace): CUnit {
  const macro = name.toUpperCase() as CIdentifier;
  const ports = namePorts(program, macro);
  const parameters = [...ports.inputs, ...ports.outputs].map((port) => port.parameter);
  const ownNames = [
    ...["arena", "scratch", "weights", "prepared", "ready", ...unpackNames, ...Object.values(readers)],
    ...["run", "unpack", "packed", "prepare"].map((part) => `${name}_${part}`),
  ];
  const reserved = [...preludeNames, ...parameters, ...ownNames];
  const constants = findConstants(program, weights === "separate" ? `${name}_` : "", reserved);
  const plan = planMemory(program);
  const { weights: bytes, metadata } = program;
  const classNames = readClassNames(metadata)?.map((className) => cString(terminalLine(className)));
  return {
    program: { weights: bytes, metadata },
    title: cComment(program.name),
    steps: titled(program.steps),
    classNames: classNames?.length === 0 ? undefined : classNames,
    name,
    macro,
    ports,
    plan,
    weights,
    packed: packedForC(program),
    prepared:
      program.preparation.length === 0
        ? undefined
        : { steps: titled(program.preparation), plan: planPrepared(program) },
    constants,
  };
}

const titled = (steps: readonly Step[]): readonly CStep[] =>
  steps.map(({ kernel, arguments: locations, node, op }, index) => {
    const before = steps[index - 1];
    const isSame = before?.node === node && before.op === op;
    const title = isSame ? undefined : cComment(node === "" ? op : `${node} (${op})`);
    return { kernel, arguments: locations, title };
  });

/** Whether `NAME_run` is given the weights: constants are places in them. */
export const takesWeights = ({ weights, packed }: Pick<CUnit, "weights" | "packed">): boolean =>
  weights === "binary" || packed !== undefined;

/** Whether `NAME_run` is given what was prepared by itself. */
export const takesPrepared = ({ packed, prepared }: Pick<CUnit, "packed" | "prepared">): boolean =>
  prepared !== undefined && packed === undefined;

/** Where in the memory of expanded weights what is prepared of them begins, in bytes. */
export const preparedOffset = ({ program }: Pick<CUnit, "program">): number => program.weights.length;

/** NAME.c */
export function sourceFile(unit: CUnit): string {
  const { title, name, macro } = unit;
  const steps = [...orDefault(unit.prepared?.steps, []), ...unit.steps];
  const pool = uniqueKernels(steps.map((step) => step.kernel));
  const functionNames = new Names([
    ...preludeNames,
    ...unpackNames,
    `${name}_run`,
    `${name}_unpack`,
    `${name}_packed`,
    `${name}_prepare`,
    ...unit.constants.map((constant) => constant.name),
  ]);
  const functions = pool.kernels.map((kernel) => functionNames.take(`kernel_${kernel.name}`));
  const calls = callsOf(pool, steps);
  const kernels = pool.kernels.map((kernel, index) =>
    printKernel(kernel, {
      name: at(functions, index),
      restrict: isRestricted(kernel, at(calls, index)),
    }),
  );
  const used = new Set(kernels.flatMap((kernel) => kernel.used));
  const constants = constantsPart(unit);
  const functionOf = (step: CStep): string => at(functions, pool.indexOf(step.kernel));
  const run = runFunction(unit, functionOf);
  const parts = [
    `/* The network "${title}", compiled by Penni: see ${name}.h. */`,
    includes(unit, kernels, constants),
    vectorPrelude(used, `${macro}_SCALAR`),
    constants,
    noInline,
    ...kernels.map((kernel) => kernel.code),
    ...(unit.prepared === undefined ? [] : [prepareFunction(unit, unit.prepared, functionOf)]),
    ...(unit.packed === undefined ? [] : [unpackFunction(expansionOf(unit), unit.packed)]),
    run,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

const expansionOf = (unit: CUnit): Expansion => ({
  name: unit.name,
  isInFile: unit.weights === "binary",
  preparedAt: unit.prepared && preparedOffset(unit),
});

/** NAME_weights.h and NAME_weights.c */
export function separateWeights(unit: CUnit): { readonly header: string; readonly source: string } {
  const { name, macro, program, constants, packed } = unit;
  const array = packed && packedArray(name, packed);
  const types = array?.type ?? constantTypes(program, constants);
  const declarations =
    array?.declaration ?? constants.map((constant) => constantDeclaration(program, constant)).join("\n");
  const definitions = array?.definition("") ?? constantDefinitions(program, constants, "");
  const guard = `${macro}_WEIGHTS_H`;
  return {
    header: `/* The constants of ${name}.c. */
#ifndef ${guard}
#define ${guard}

#include <stdint.h>

${types === "" ? "" : `${types}\n\n`}${declarations}

#endif
`,
    source: `#include "${name}_weights.h"
${mathInclude(definitions)}
${definitions}
`,
  };
}

const noInline = `/* A function of its own in profiles. */
#if defined(__GNUC__)
#define KERNEL __attribute__((noinline))
#else
#define KERNEL
#endif`;

function includes(unit: CUnit, kernels: readonly PrintedKernel[], constants: string): string {
  const lines = [`#include "${unit.name}.h"`];
  if (unit.weights === "separate") lines.push(`#include "${unit.name}_weights.h"`);
  const text = [constants, ...kernels.map((kernel) => kernel.code)].join("\n");
  const string = unit.packed === undefined ? "" : "\n#include <string.h>";
  return `${lines.join("\n")}\n\n${mathInclude(text)}#include <stddef.h>\n#include <stdint.h>${string}`;
}

function mathInclude(text: string): string {
  return /\b(?:NAN|INFINITY)\b/.test(text) ? "#include <math.h>\n" : "";
}

function constantsPart(unit: CUnit): string {
  const { program, constants, weights, packed, prepared, name } = unit;
  const types = [...new Set(constants.map((constant) => constant.type))];
  const isBehind = prepared !== undefined && packed !== undefined;
  const read = new Set([...types, ...(isBehind ? (["f32"] as const) : [])]);
  const theirReaders = takesWeights(unit) ? [...read].map(readerOf) : [];
  if (packed !== undefined && weights === "inside") {
    const { type, definition } = packedArray(name, packed);
    return [type, definition("static "), ...theirReaders].filter((part) => part !== "").join("\n\n");
  }
  if (theirReaders.length > 0 || weights !== "inside") return theirReaders.join("\n\n");
  const parts = [constantTypes(program, constants), constantDefinitions(program, constants, "static ")];
  return parts.filter((part) => part !== "").join("\n\n");
}

const readers: Readonly<Record<Pointer["type"], string>> = { f32: "float_at", u16: "u16_at", i32: "i32_at" };

function readerOf(type: Pointer["type"]): string {
  const element = elementTypes[type];
  return `static const ${element} *${readers[type]}(const void *weights, size_t bytes) {
  return (const ${element} *)(const void *)((const unsigned char *)weights + bytes);
}`;
}

/** The steps that call each kernel of a pool. */
function callsOf(pool: KernelPool, steps: readonly CStep[]): readonly (readonly CStep[])[] {
  const calls: CStep[][] = pool.kernels.map(() => []);
  for (const step of steps) at(calls, pool.indexOf(step.kernel)).push(step);
  return calls;
}

/** Whether no step passes memory that a kernel writes as another argument too. */
function isRestricted(kernel: Kernel, calls: readonly CStep[]): boolean {
  return calls.every(({ arguments: locations }) => {
    const ids = locations.map((location) => location.buffer.id);
    return kernel.parameters.every(
      ({ written }, place) => !written || ids.filter((id) => id === ids[place]).length === 1,
    );
  });
}

/** The parameters of `NAME_run` as they are declared. */
export function runParameters(unit: CUnit): readonly string[] {
  const { ports } = unit;
  return [
    ...ports.inputs.map(({ parameter }) => `const float *${parameter}`),
    ...ports.outputs.map(({ parameter }) => `float *${parameter}`),
    "void *scratch",
    ...(takesWeights(unit) ? ["const void *weights"] : []),
    ...(takesPrepared(unit) ? ["const void *prepared"] : []),
  ];
}

/** The parameters of `NAME_prepare` as they are declared. */
export const prepareParameters = (unit: CUnit): readonly string[] => [
  ...(takesWeights(unit) ? ["const void *weights"] : []),
  "void *prepared",
];

/** The function that makes of weights what runs read. */
function prepareFunction(unit: CUnit, { steps }: CPrepared, functionOf: (step: CStep) => string): string {
  const linkage = takesPrepared(unit) ? "" : "static ";
  return [
    `${linkage}void ${unit.name}_prepare(${prepareParameters(unit).join(", ")}) {`,
    "  float *const ready = prepared;",
    ...callLines(unit, steps, functionOf),
    "}",
  ].join("\n");
}

function runFunction(unit: CUnit, functionOf: (step: CStep) => string): string {
  const { steps, name, plan, ports } = unit;
  const lines = [`void ${name}_run(${wrapped(runParameters(unit), "    ")}) {`];
  const isRead = new Set(steps.flatMap((step) => step.arguments.map(({ buffer }) => buffer.id)));
  for (const { buffer, parameter } of [...ports.inputs, ...ports.outputs]) {
    if (!isRead.has(buffer.id)) lines.push(`  (void)${parameter};`);
  }
  lines.push(plan.size === 0 ? "  (void)scratch;" : "  float *const arena = scratch;");
  if (takesWeights(unit) && unit.constants.length === 0) lines.push("  (void)weights;");
  if (takesPrepared(unit)) lines.push("  const float *const ready = prepared;");
  else if (unit.prepared !== undefined)
    lines.push(`  const float *const ready = float_at(weights, ${preparedOffset(unit)});`);
  return [...lines, ...callLines(unit, steps, functionOf), "}"].join("\n");
}

function callLines(
  unit: CUnit,
  steps: readonly CStep[],
  functionOf: (step: CStep) => string,
): readonly string[] {
  const print = locationPrinter(unit);
  return steps.flatMap((step) => {
    const title = step.title === undefined ? [] : ["", `  /* ${step.title} */`];
    return [...title, `  ${functionOf(step)}(${wrapped(step.arguments.map(print), "      ")});`];
  });
}

function locationPrinter(unit: CUnit): (location: Location) => string {
  const { plan, ports, constants } = unit;
  const parameters = new Map(
    [...ports.inputs, ...ports.outputs].map(({ buffer, parameter }) => [buffer.id, parameter]),
  );
  const constantById = new Map(constants.map((constant) => [constant.id, constant]));
  const moved = (base: string, elements: number): string => (elements === 0 ? base : `${base} + ${elements}`);
  return ({ buffer, offset }) => {
    const place = plan.offsets.get(buffer.id);
    if (place !== undefined) return moved("arena", place + offset);
    const made = unit.prepared?.plan.offsets.get(buffer.id);
    if (made !== undefined) return moved("ready", made + offset);
    const parameter = parameters.get(buffer.id);
    if (parameter !== undefined) return moved(parameter, offset);
    const constant = constantById.get(buffer.id);
    if (constant === undefined)
      throw new PenniError("internal", `buffer ${buffer.id} has no place in memory`);
    const { type, from } = constant;
    const read = takesWeights(unit)
      ? `${readers[type]}(weights, ${from})`
      : constantValues(unit.program, constant);
    return moved(read, offset);
  };
}
