import type { BinaryOp, Comparison, PointerType } from "../loops.js";

// Opcodes of WebAssembly 2.0 (core specification, section 5.4) and of the relaxed SIMD proposal. Vector opcodes
// stand behind the prefix 0xFD.

export const VECTOR_PREFIX = 0xfd;

export const valueTypes = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;
export type ValueType = keyof typeof valueTypes;

export const control = {
  block: 0x02,
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  call: 0x10,
  empty: 0x40,
} as const;
export const local = { get: 0x20, set: 0x21, tee: 0x22 } as const;
export const integer = {
  constant: 0x41,
  greaterOrEqual: 0x4e,
  less: 0x48,
  add: 0x6a,
  subtract: 0x6b,
  multiply: 0x6c,
  and: 0x71,
  or: 0x72,
  shiftLeft: 0x74,
  shiftRight: 0x76,
} as const;

export const scalar = {
  constant: 0x43,
  load: 0x2a,
  store: 0x38,
  fromInteger: 0xb2,
  /** Behind the prefix 0xFC: saturating, and 0 for NaN. */
  toInteger: 0x00,
  fromBits: 0xbe,
  toBits: 0xbc,
  select: 0x1b,
} as const;
export const SATURATING_PREFIX = 0xfc;

export const vector = {
  constant: 0x0c,
  load: 0x00,
  loadBroadcast: 0x09,
  store: 0x0b,
  storeLane32: 0x5a,
  storeLane64: 0x5b,
  broadcast: 0x13,
  broadcastInteger: 0x11,
  extractLane: 0x1f,
  toInteger: 0xf8,
  and: 0x4e,
  or: 0x50,
  select: 0x52,
  addIntegers: 0xae,
  subtractIntegers: 0xb1,
  shiftLeft: 0xab,
  shiftRight: 0xad,
  fromInteger: 0xfa,
  relaxedMultiplyAdd: 0x105,
} as const;

/** Opcodes of one operation on a single number and on a vector. */
export interface Opcodes {
  readonly scalar: number;
  readonly vector: number;
}

type SimpleUnary = "negate" | "absolute" | "squareRoot" | "floor" | "ceil" | "truncate" | "nearest";

export const unaryOpcodes: Readonly<Record<SimpleUnary, Opcodes>> = {
  negate: { scalar: 0x8c, vector: 0xe1 },
  absolute: { scalar: 0x8b, vector: 0xe0 },
  squareRoot: { scalar: 0x91, vector: 0xe3 },
  floor: { scalar: 0x8e, vector: 0x68 },
  ceil: { scalar: 0x8d, vector: 0x67 },
  truncate: { scalar: 0x8f, vector: 0x69 },
  nearest: { scalar: 0x90, vector: 0x6a },
};

type Arithmetic = Exclude<BinaryOp, "pseudoMax" | "pseudoMin">;

export const arithmeticOpcodes: Readonly<Record<Arithmetic, Opcodes>> = {
  add: { scalar: 0x92, vector: 0xe4 },
  subtract: { scalar: 0x93, vector: 0xe5 },
  multiply: { scalar: 0x94, vector: 0xe6 },
  divide: { scalar: 0x95, vector: 0xe7 },
};

/** `f32x4.pmax` and `f32x4.pmin`; there are no scalar ones. */
export const pseudoOpcodes = { pseudoMax: 0xeb, pseudoMin: 0xea } as const;

export const comparisonOpcodes: Readonly<Record<Comparison, Opcodes>> = {
  less: { scalar: 0x5d, vector: 0x43 },
  lessOrEqual: { scalar: 0x5f, vector: 0x45 },
  equal: { scalar: 0x5b, vector: 0x41 },
  notEqual: { scalar: 0x5c, vector: 0x42 },
};

/** How an entry of a table is loaded as an i32, and the logarithm of its bytes. */
export const elementLoads: Readonly<Record<PointerType, { opcode: number; shift: number }>> = {
  f32: { opcode: 0x2a, shift: 2 },
  u16: { opcode: 0x2f, shift: 1 },
  i32: { opcode: 0x28, shift: 2 },
};
