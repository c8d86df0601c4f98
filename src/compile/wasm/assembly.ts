import { ByteWriter } from "./bytes.js";
import { control, integer, local, scalar } from "./instructions.js";

// A few words for code that is written by hand: instructions of integers, as bytes.

export type Code = readonly number[];

const signed = (value: number): Code => [...new ByteWriter().signed(value).view()];
const unsigned = (value: number): Code => [...new ByteWriter().unsigned(value).view()];

export const constant = (value: number): Code => [integer.constant, ...signed(value)];
/** Constants where numbers stand. */
export type Operand = Code | number;
const codeOf = (operand: Operand): Code => (typeof operand === "number" ? constant(operand) : operand);

const binaryOpcodes = {
  add: integer.add,
  subtract: integer.subtract,
  multiply: integer.multiply,
  divide: 0x6e,
  remainder: 0x70,
  and: integer.and,
  or: integer.or,
  shiftLeft: integer.shiftLeft,
  shiftRight: 0x76,
  less: 0x49,
  equal: 0x46,
  atLeast: 0x4f,
} as const;

/** An operation on two unsigned integers. */
export const op = (name: keyof typeof binaryOpcodes, left: Operand, right: Operand): Code => [
  ...codeOf(left),
  ...codeOf(right),
  binaryOpcodes[name],
];

/** The smaller of two integers. */
export const least = (left: Operand, right: Operand): Code => [
  ...codeOf(left),
  ...codeOf(right),
  ...op("less", left, right),
  scalar.select,
];

const loads = { u8: 0x2d, i8: 0x2c, u16: 0x2f, i32: 0x28, f32: 0x2a } as const;
const stores = { u8: 0x3a, u16: 0x3b, i32: 0x36, f32: 0x38 } as const;

/** Loads and stores state no alignment. */
export const load = (type: keyof typeof loads, address: Operand): Code => [
  ...codeOf(address),
  loads[type],
  0,
  0,
];
export const store = (type: keyof typeof stores, address: Operand, value: Operand): Code => [
  ...codeOf(address),
  ...codeOf(value),
  stores[type],
  0,
  0,
];

/** An integer variable. */
export interface Local {
  readonly get: Code;
  set(value: Operand): Code;
  add(value: Operand): Code;
}

export function localAt(index: number): Local {
  const get: Code = [local.get, ...unsigned(index)];
  const set = (value: Operand): Code => [...codeOf(value), local.set, ...unsigned(index)];
  return { get, set, add: (value) => set(op("add", get, value)) };
}

/** Repeats the body as long as a condition holds. */
export const whileTrue = (condition: Code, ...body: readonly Code[]): Code => [
  ...[control.block, control.empty, control.loop, control.empty],
  ...[...condition, EQUALS_ZERO, control.branchIf, 1],
  ...body.flat(),
  ...[BRANCH, 0, control.end, control.end],
];

/** Repeats the body until a condition holds after it. */
export const repeatWhile = (condition: Code, ...body: readonly Code[]): Code => [
  ...[control.loop, control.empty],
  ...body.flat(),
  ...[...condition, control.branchIf, 0, control.end],
];

export const ifTrue = (condition: Code, body: readonly Code[], otherwise: readonly Code[] = []): Code => [
  ...condition,
  ...[IF, control.empty],
  ...body.flat(),
  ...(otherwise.length === 0 ? [] : [ELSE, ...otherwise.flat()]),
  control.end,
];

const EQUALS_ZERO = 0x45;
const BRANCH = 0x0c;
const IF = 0x04;
const ELSE = 0x05;
