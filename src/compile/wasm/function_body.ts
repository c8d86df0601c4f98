import { PenniError } from "../../graph/errors.js";
import type { Index, Kernel, Lanes, Pointer, Statement, UnaryOp, Value } from "../loops.js";
import { ByteWriter } from "./bytes.js";
import {
  arithmeticOpcodes,
  comparisonOpcodes,
  control,
  elementLoads,
  integer,
  local,
  type Opcodes,
  pseudoOpcodes,
  SATURATING_PREFIX,
  scalar,
  unaryOpcodes,
  type ValueType,
  VECTOR_PREFIX,
  valueTypes,
  vector,
} from "./instructions.js";

/** Lanes of a 128-bit vector of float32. */
export const WASM_LANES = 4;

export interface CodeOptions {
  /** Use the fused multiply-add of relaxed SIMD. */
  readonly relaxed: boolean;
}

/** The body of one kernel as WebAssembly code: locals and instructions, without the length in front. */
export function functionBody(kernel: Kernel, options: CodeOptions): Uint8Array {
  return new FunctionPrinter(kernel, options).print();
}

class FunctionPrinter {
  private readonly code = new ByteWriter();
  private readonly locals: ValueType[] = [];
  private readonly variables = new Map<string, number>();
  private readonly pointers: ReadonlyMap<string, Pointer>;

  constructor(
    private readonly kernel: Kernel,
    private readonly options: CodeOptions,
  ) {
    this.pointers = new Map(kernel.parameters.map((pointer) => [pointer.name, pointer]));
    kernel.parameters.forEach((pointer, index) => {
      this.variables.set(pointer.name, index);
    });
  }

  print(): Uint8Array {
    for (const statement of this.kernel.body) this.statement(statement);
    this.code.byte(control.end);
    const body = new ByteWriter().unsigned(this.locals.length);
    for (const type of this.locals) body.unsigned(1).byte(valueTypes[type]);
    return body.bytes(this.code.view()).view().slice();
  }

  private statement(statement: Statement): void {
    switch (statement.kind) {
      case "loop":
        this.loop(statement);
        return;
      case "setIndex":
        this.index(statement.value);
        this.setLocal(statement.variable, "i32");
        return;
      case "setValue":
        this.value(statement.value, statement.lanes);
        this.setLocal(statement.variable, statement.lanes === "vector" ? "v128" : "f32");
        return;
      case "store":
        this.store(statement);
        return;
      case "prefetch":
        return;
    }
  }

  private loop({ variable, from, to, step, body }: Extract<Statement, { kind: "loop" }>): void {
    const counter = this.local(variable, "i32");
    const isKnown = typeof from === "number" && typeof to === "number";
    const end = typeof to === "number" ? undefined : this.temporary("i32");
    this.index(from);
    this.code.byte(local.set).unsigned(counter);
    if (end !== undefined) {
      this.index(to);
      this.code.byte(local.set).unsigned(end);
    }
    const pushEnd = (): void => {
      if (end === undefined) this.index(to);
      else this.code.byte(local.get).unsigned(end);
    };
    if (!isKnown) {
      this.code.byte(control.block).byte(control.empty);
      this.code.byte(local.get).unsigned(counter);
      pushEnd();
      this.code.byte(integer.greaterOrEqual).byte(control.branchIf).unsigned(0);
    }
    this.code.byte(control.loop).byte(control.empty);
    for (const statement of body) this.statement(statement);
    this.code.byte(local.get).unsigned(counter).byte(integer.constant).signed(step).byte(integer.add);
    this.code.byte(local.tee).unsigned(counter);
    pushEnd();
    this.code.byte(integer.less).byte(control.branchIf).unsigned(0).byte(control.end);
    if (!isKnown) this.code.byte(control.end);
  }

  private store({ lanes, count, pointer, position, value }: Extract<Statement, { kind: "store" }>): void {
    if (lanes === "scalar" || count === undefined || count === WASM_LANES) {
      const offset = this.address(pointer, position);
      this.value(value, lanes);
      if (lanes === "vector") this.code.byte(VECTOR_PREFIX).unsigned(vector.store);
      else this.code.byte(scalar.store);
      this.memoryArgument(offset);
      return;
    }
    this.value(value, "vector");
    const whole = this.temporary("v128");
    this.code.byte(local.set).unsigned(whole);
    const part = (opcode: number, first: number, lane: number): void => {
      const offset = this.address(pointer, position) + 4 * first;
      this.code.byte(local.get).unsigned(whole).byte(VECTOR_PREFIX).unsigned(opcode);
      this.memoryArgument(offset);
      this.code.byte(lane);
    };
    if (count >= 2) part(vector.storeLane64, 0, 0);
    if (count % 2 === 1) part(vector.storeLane32, count - 1, count - 1);
  }

  private value(value: Value, lanes: Lanes): void {
    switch (value.kind) {
      case "constant":
        this.constant(value.value, lanes);
        return;
      case "variable":
        this.code.byte(local.get).unsigned(this.known(value.name));
        return;
      case "load":
        this.load(value.pointer, value.position, lanes === "vector" ? vector.load : undefined);
        return;
      case "broadcast":
        this.load(value.pointer, value.position, lanes === "vector" ? vector.loadBroadcast : undefined);
        return;
      case "fromIndex":
        this.index(value.index);
        this.code.byte(scalar.fromInteger);
        this.spread(lanes);
        return;
      case "unary":
        this.unary(value.op, value.operand, lanes);
        return;
      case "binary":
        this.binary(value, lanes);
        return;
      case "multiplyAdd":
        this.multiplyAdd(value, lanes);
        return;
      case "select":
        this.value(value.chosen, lanes);
        this.value(value.other, lanes);
        this.value(value.left, lanes);
        this.value(value.right, lanes);
        this.operation(comparisonOpcodes[value.comparison], lanes);
        this.operation({ scalar: scalar.select, vector: vector.select }, lanes);
        return;
    }
  }

  private constant(value: number, lanes: Lanes): void {
    if (lanes === "scalar") {
      this.code.byte(scalar.constant).float32(value);
      return;
    }
    this.code.byte(VECTOR_PREFIX).unsigned(vector.constant);
    for (let lane = 0; lane < WASM_LANES; lane++) this.code.float32(value);
  }

  private load(pointer: string, position: Index, vectorOpcode: number | undefined): void {
    const offset = this.address(pointer, position);
    if (vectorOpcode === undefined) this.code.byte(scalar.load);
    else this.code.byte(VECTOR_PREFIX).unsigned(vectorOpcode);
    this.memoryArgument(offset);
  }

  private binary({ op, left, right }: Extract<Value, { kind: "binary" }>, lanes: Lanes): void {
    if (op !== "pseudoMax" && op !== "pseudoMin") {
      this.value(left, lanes);
      this.value(right, lanes);
      this.operation(arithmeticOpcodes[op], lanes);
      return;
    }
    if (lanes === "vector") {
      this.value(left, lanes);
      this.value(right, lanes);
      this.code.byte(VECTOR_PREFIX).unsigned(pseudoOpcodes[op]);
      return;
    }
    this.value(right, lanes);
    const b = this.temporary("f32");
    this.code.byte(local.tee).unsigned(b);
    this.value(left, lanes);
    const a = this.temporary("f32");
    this.code.byte(local.tee).unsigned(a);
    const [low, high] = op === "pseudoMax" ? [a, b] : [b, a];
    this.code.byte(local.get).unsigned(low).byte(local.get).unsigned(high);
    this.code.byte(comparisonOpcodes.less.scalar).byte(scalar.select);
  }

  private multiplyAdd({ left, right, addend }: Extract<Value, { kind: "multiplyAdd" }>, lanes: Lanes): void {
    if (this.options.relaxed && lanes === "vector") {
      this.value(left, lanes);
      this.value(right, lanes);
      this.value(addend, lanes);
      this.code.byte(VECTOR_PREFIX).unsigned(vector.relaxedMultiplyAdd);
      return;
    }
    this.value(addend, lanes);
    this.value(left, lanes);
    this.value(right, lanes);
    this.operation(arithmeticOpcodes.multiply, lanes);
    this.operation(arithmeticOpcodes.add, lanes);
  }

  private unary(op: UnaryOp, operand: Value, lanes: Lanes): void {
    this.value(operand, lanes);
    switch (op) {
      case "powerOfTwo":
        this.powerOfTwo(lanes);
        return;
      case "exponent":
        this.exponent(lanes);
        return;
      case "mantissa":
        this.mantissa(lanes);
        return;
      default:
        this.operation(unaryOpcodes[op], lanes);
        return;
    }
  }

  // The bits of 2^n are (n + 127) << 23.
  private powerOfTwo(lanes: Lanes): void {
    if (lanes === "scalar") {
      this.code.byte(SATURATING_PREFIX).unsigned(scalar.toInteger);
      this.integerConstant(127).byte(integer.add);
      this.integerConstant(23).byte(integer.shiftLeft).byte(scalar.fromBits);
      return;
    }
    this.code.byte(VECTOR_PREFIX).unsigned(vector.toInteger);
    this.integerConstant(127).byte(VECTOR_PREFIX).unsigned(vector.broadcastInteger);
    this.code.byte(VECTOR_PREFIX).unsigned(vector.addIntegers);
    this.integerConstant(23).byte(VECTOR_PREFIX).unsigned(vector.shiftLeft);
  }

  private exponent(lanes: Lanes): void {
    if (lanes === "scalar") {
      this.code.byte(scalar.toBits);
      this.integerConstant(23).byte(integer.shiftRight);
      this.integerConstant(127).byte(integer.subtract).byte(scalar.fromInteger);
      return;
    }
    this.integerConstant(23).byte(VECTOR_PREFIX).unsigned(vector.shiftRight);
    this.integerConstant(127).byte(VECTOR_PREFIX).unsigned(vector.broadcastInteger);
    this.code.byte(VECTOR_PREFIX).unsigned(vector.subtractIntegers);
    this.code.byte(VECTOR_PREFIX).unsigned(vector.fromInteger);
  }

  // The 23 bits of the fraction, with the exponent of 1.
  private mantissa(lanes: Lanes): void {
    if (lanes === "scalar") {
      this.code.byte(scalar.toBits);
      this.integerConstant(0x7fffff).byte(integer.and);
      this.integerConstant(0x3f800000).byte(integer.or).byte(scalar.fromBits);
      return;
    }
    this.integerConstant(0x7fffff).byte(VECTOR_PREFIX).unsigned(vector.broadcastInteger);
    this.code.byte(VECTOR_PREFIX).unsigned(vector.and);
    this.integerConstant(0x3f800000).byte(VECTOR_PREFIX).unsigned(vector.broadcastInteger);
    this.code.byte(VECTOR_PREFIX).unsigned(vector.or);
  }

  private operation(opcodes: Opcodes, lanes: Lanes): void {
    if (lanes === "scalar") this.code.byte(opcodes.scalar);
    else this.code.byte(VECTOR_PREFIX).unsigned(opcodes.vector);
  }

  private spread(lanes: Lanes): void {
    if (lanes === "vector") this.code.byte(VECTOR_PREFIX).unsigned(vector.broadcast);
  }

  private index(index: Index): void {
    if (typeof index === "number") {
      this.integerConstant(index);
      return;
    }
    switch (index.kind) {
      case "variable":
        this.code.byte(local.get).unsigned(this.known(index.name));
        return;
      case "entry": {
        const offset = this.address(index.pointer, index.position);
        this.code.byte(elementLoads[this.pointer(index.pointer).type].opcode);
        this.memoryArgument(offset, this.pointer(index.pointer).type === "u16" ? 1 : 2);
        return;
      }
      case "fromValue":
        this.value(index.value, "scalar");
        this.code.byte(SATURATING_PREFIX).unsigned(scalar.toInteger);
        return;
      case "add":
      case "multiply":
        this.index(index.left);
        this.index(index.right);
        this.code.byte(index.kind === "add" ? integer.add : integer.multiply);
    }
  }

  /** Pushes the variable part of an element's address and returns its constant part in bytes. */
  private address(name: string, position: Index): number {
    const { shift } = elementLoads[this.pointer(name).type];
    const [variable, constant] = splitConstant(position);
    this.code.byte(local.get).unsigned(this.known(name));
    // A negative constant cannot be an instruction's offset.
    const rest = constant < 0 ? position : variable;
    if (rest !== undefined) {
      this.index(rest);
      this.integerConstant(shift).byte(integer.shiftLeft).byte(integer.add);
    }
    return constant < 0 ? 0 : constant * 2 ** shift;
  }

  /** Alignment is that of single elements: a hint only. */
  private memoryArgument(offset: number, alignment = 2): void {
    this.code.unsigned(alignment).unsigned(offset);
  }

  private integerConstant(value: number): ByteWriter {
    return this.code.byte(integer.constant).signed(value);
  }

  private pointer(name: string): Pointer {
    const pointer = this.pointers.get(name);
    if (pointer === undefined)
      throw new PenniError("internal", `kernel ${this.kernel.name} has no parameter "${name}"`);
    return pointer;
  }

  private known(name: string): number {
    const index = this.variables.get(name);
    if (index === undefined)
      throw new PenniError("internal", `kernel ${this.kernel.name} reads "${name}" before it is set`);
    return index;
  }

  private setLocal(name: string, type: ValueType): void {
    this.code.byte(local.set).unsigned(this.local(name, type));
  }

  private local(name: string, type: ValueType): number {
    const known = this.variables.get(name);
    if (known !== undefined) return known;
    const index = this.temporary(type);
    this.variables.set(name, index);
    return index;
  }

  private temporary(type: ValueType): number {
    this.locals.push(type);
    return this.kernel.parameters.length + this.locals.length - 1;
  }
}

/** A position as its variable part, if any, plus a constant. */
function splitConstant(position: Index): readonly [Index | undefined, number] {
  if (typeof position === "number") return [undefined, position];
  if (position.kind !== "add" || typeof position.right !== "number") return [position, 0];
  return [position.left, position.right];
}
