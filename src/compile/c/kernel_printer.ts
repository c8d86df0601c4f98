import { orDefault, present } from "../../graph/at.js";
import { type CIdentifier, cComment } from "../../text/destinations.js";
import {
  type BinaryOp,
  bodiesOf,
  type Comparison,
  type Index,
  type Kernel,
  type Lanes,
  type Pointer,
  type Statement,
  type Value,
} from "../loops.js";
import { Names, wrapped } from "./names.js";
import { floatLiteral } from "./numbers.js";
import { type DeclaredVariable, findScopes, type Scopes } from "./scopes.js";
import { binaryFunctions, selectFunctions, unaryFunctions, type VectorFunction } from "./vector_functions.js";
import { preludeNames } from "./vectors.js";

/** A kernel as a C function, and what it uses of the prelude. */
export interface PrintedKernel {
  readonly code: string;
  readonly used: readonly VectorFunction[];
}

export interface PrintOptions {
  /** The function's name. */
  readonly name: CIdentifier;
  /** Whether no call passes the same memory to two parameters one of which is written. */
  readonly restrict: boolean;
}

/** Prints one kernel. */
export function printKernel(kernel: Kernel, options: PrintOptions): PrintedKernel {
  const [usual, roomy] = bodiesOf(kernel).map((body) => new BodyPrinter(kernel, body, options).print());
  const { head, body, used } = present(usual);
  const lines =
    roomy === undefined ? body : ["#if defined(ROOMY)", ...roomy.body, "#else", ...body, "#endif"];
  return { code: [...head, ...lines, "}"].join("\n"), used: [...used, ...orDefault(roomy?.used, [])] };
}

/** A function of one body, without its last line. */
interface PrintedBody extends Pick<PrintedKernel, "used"> {
  /** The same for all bodies of a kernel. */
  readonly head: readonly string[];
  readonly body: readonly string[];
}

export const elementTypes: Readonly<Record<Pointer["type"], string>> = {
  f32: "float",
  u16: "uint16_t",
  i32: "int32_t",
};

const comparisons: Readonly<Record<Comparison, string>> = {
  less: "<",
  lessOrEqual: "<=",
  equal: "==",
  notEqual: "!=",
};

type Arithmetic = Exclude<BinaryOp, "pseudoMax" | "pseudoMin">;
const arithmetic: Readonly<Record<Arithmetic, string>> = {
  add: "+",
  subtract: "-",
  multiply: "*",
  divide: "/",
};

const variableTypes: Readonly<Record<DeclaredVariable["type"], string>> = {
  index: "ptrdiff_t",
  scalar: "float",
  vector: "v8",
};

class BodyPrinter {
  private readonly lines: string[] = [];
  private readonly used = new Set<VectorFunction>();
  private readonly scope = new Names(preludeNames);
  private readonly identifiers = new Map<string, CIdentifier>();
  private readonly scopes: Scopes;

  constructor(
    private readonly kernel: Kernel,
    private readonly body: Kernel["body"],
    private readonly options: PrintOptions,
  ) {
    this.scopes = findScopes(body);
  }

  print(): PrintedBody {
    const { kernel, options } = this;
    const qualifier = options.restrict ? "restrict " : "";
    const parameters = kernel.parameters.map(({ name, type, written }) => {
      const elements = written ? elementTypes[type] : `const ${elementTypes[type]}`;
      return `${elements} *${qualifier}${this.identifier(name)}`;
    });
    const head = [
      `/* ${cComment(kernel.comment)} */`,
      `static KERNEL void ${options.name}(`,
      `    ${wrapped(parameters, "    ")}) {`,
    ];
    for (const { name } of kernel.parameters) {
      if (!this.scopes.isRead(name)) this.lines.push(`  (void)${this.identifier(name)};`);
    }
    this.block(this.body, "  ");
    return { head, body: this.lines, used: [...this.used] };
  }

  private block(statements: readonly Statement[], indent: string): void {
    for (const { name, type } of this.scopes.headOf(statements)) {
      this.lines.push(`${indent}${variableTypes[type]} ${this.identifier(name)};`);
    }
    for (const statement of statements) this.statement(statement, indent);
  }

  private statement(statement: Statement, indent: string): void {
    switch (statement.kind) {
      case "loop":
        this.loop(statement, indent);
        return;
      case "setIndex":
        this.set(statement, "index", this.index(statement.value), indent);
        return;
      case "setValue": {
        if (!this.scopes.isRead(statement.variable)) return;
        this.set(statement, statement.lanes, this.kept(statement), indent);
        return;
      }
      case "store":
        this.lines.push(`${indent}${this.store(statement)};`);
        return;
      case "prefetch": {
        const position = this.index(statement.position);
        this.lines.push(`${indent}PREFETCH(${this.identifier(statement.pointer)}, ${position});`);
        return;
      }
    }
  }

  /** A value that is set; a vector that several sums need is loaded once. */
  private kept({ variable, lanes, value }: Extract<Statement, { readonly kind: "setValue" }>): string {
    const printed = this.value(value, lanes);
    const isHeld = lanes === "vector" && value.kind === "load" && this.scopes.isShared(variable);
    return isHeld ? `${this.call("v8_held")}(${printed})` : printed;
  }

  private set(
    statement: Extract<Statement, { readonly kind: "setIndex" | "setValue" }>,
    type: DeclaredVariable["type"],
    value: string,
    indent: string,
  ): void {
    const { variable } = statement;
    if (!this.scopes.isRead(variable)) return;
    const declaration = this.scopes.declares(statement)
      ? `${this.scopes.isConstant(variable) ? "const " : ""}${variableTypes[type]} `
      : "";
    this.lines.push(`${indent}${declaration}${this.identifier(variable)} = ${value};`);
  }

  private loop(
    { variable, from, to, step, body }: Extract<Statement, { readonly kind: "loop" }>,
    indent: string,
  ): void {
    const counter = this.identifier(variable);
    let end = this.index(to);
    if (!this.isFixed(to)) {
      const name = this.scope.take(`${counter}_end`);
      this.lines.push(`${indent}const ptrdiff_t ${name} = ${end};`);
      end = name;
    }
    const advance = step === 1 ? `${counter}++` : `${counter} += ${step}`;
    const head = `ptrdiff_t ${counter} = ${this.index(from)}; ${counter} < ${end}; ${advance}`;
    this.lines.push(`${indent}for (${head}) {`);
    this.block(body, `${indent}  `);
    this.lines.push(`${indent}}`);
  }

  /** Whether an index stays the same, and costs nothing to be computed again. */
  private isFixed(index: Index): boolean {
    return typeof index === "number" || (index.kind === "variable" && this.scopes.isConstant(index.name));
  }

  private store({
    lanes,
    count,
    pointer,
    position,
    value,
  }: Extract<Statement, { readonly kind: "store" }>): string {
    const printed = this.value(value, lanes);
    if (lanes === "scalar") return `${this.element(pointer, position)} = ${printed}`;
    const address = this.address(pointer, position);
    if (count === undefined || count >= 8) return `${this.call("v8_store")}(${address}, ${printed})`;
    return `${this.call("v8_store_first")}(${address}, ${printed}, ${count})`;
  }

  private value(value: Value, lanes: Lanes): string {
    switch (value.kind) {
      case "constant":
        return this.spread(floatLiteral(value.value), lanes);
      case "variable":
        return this.identifier(value.name);
      case "load":
        return lanes === "scalar"
          ? this.element(value.pointer, value.position)
          : `${this.call("v8_load")}(${this.address(value.pointer, value.position)})`;
      case "broadcast":
        return this.spread(this.element(value.pointer, value.position), lanes);
      case "fromIndex":
        return this.spread(`(float)(${this.index(value.index)})`, lanes);
      case "unary":
        return this.unary(value, lanes);
      case "binary":
        return this.binary(value, lanes);
      case "multiplyAdd": {
        const name = this.call(lanes === "vector" ? "v8_multiply_add" : "multiply_add");
        return `${name}(${this.values([value.left, value.right, value.addend], lanes)})`;
      }
      case "select": {
        const { comparison, left, right, chosen, other } = value;
        if (lanes === "vector") {
          const name = this.call(selectFunctions[comparison]);
          return `${name}(${this.values([left, right, chosen, other], lanes)})`;
        }
        const condition = `${this.value(left, lanes)} ${comparisons[comparison]} ${this.value(right, lanes)}`;
        return `(${condition} ? ${this.value(chosen, lanes)} : ${this.value(other, lanes)})`;
      }
    }
  }

  private unary({ op, operand }: Extract<Value, { readonly kind: "unary" }>, lanes: Lanes): string {
    const name = unaryFunctions[op];
    if (lanes === "vector") return `${this.call(name)}(${this.value(operand, lanes)})`;
    if (op === "negate") return `(-(${this.value(operand, lanes)}))`;
    const vector = `${this.call(name)}(${this.spread(this.value(operand, "scalar"), "vector")})`;
    return `${this.call("v8_first")}(${vector})`;
  }

  private binary({ op, left, right }: Extract<Value, { readonly kind: "binary" }>, lanes: Lanes): string {
    if (lanes === "vector") return `${this.call(binaryFunctions[op])}(${this.values([left, right], lanes)})`;
    if (op === "pseudoMax") return `${this.call("pseudo_max")}(${this.values([left, right], lanes)})`;
    if (op === "pseudoMin") return `${this.call("pseudo_min")}(${this.values([left, right], lanes)})`;
    return `(${this.value(left, lanes)} ${arithmetic[op]} ${this.value(right, lanes)})`;
  }

  private values(values: readonly Value[], lanes: Lanes): string {
    return values.map((value) => this.value(value, lanes)).join(", ");
  }

  private spread(scalar: string, lanes: Lanes): string {
    return lanes === "scalar" ? scalar : `${this.call("v8_splat")}(${scalar})`;
  }

  private element(pointer: string, position: Index): string {
    return `${this.identifier(pointer)}[${this.index(position)}]`;
  }

  private address(pointer: string, position: Index): string {
    if (position === 0) return this.identifier(pointer);
    const offset = this.index(position);
    return `${this.identifier(pointer)} + ${/^\w+$/.test(offset) ? offset : `(${offset})`}`;
  }

  /** Sums are printed with their constants gathered at the end. */
  private index(index: Index): string {
    if (typeof index === "number") return String(index);
    switch (index.kind) {
      case "variable":
        return this.identifier(index.name);
      case "entry":
        return this.element(index.pointer, index.position);
      case "fromValue":
        return `(ptrdiff_t)(${this.value(index.value, "scalar")})`;
      case "add": {
        const terms = sumTerms(index);
        const constant = terms.reduce<number>(
          (sum, term) => (typeof term === "number" ? sum + term : sum),
          0,
        );
        const others = terms.filter((term) => typeof term !== "number").map((term) => this.index(term));
        if (constant === 0) return others.join(" + ");
        return `${others.join(" + ")} ${constant < 0 ? "-" : "+"} ${Math.abs(constant)}`;
      }
      case "multiply":
        return `${this.factor(index.left)} * ${this.factor(index.right)}`;
    }
  }

  /** Elements of tables are int: a product of them must not overflow. */
  private factor(index: Index): string {
    const printed = this.index(index);
    if (typeof index === "number") return printed;
    if (index.kind === "entry") return `(ptrdiff_t)${printed}`;
    return index.kind === "add" ? `(${printed})` : printed;
  }

  private call(name: VectorFunction): VectorFunction {
    this.used.add(name);
    return name;
  }

  private identifier(name: string): CIdentifier {
    const known = this.identifiers.get(name);
    if (known !== undefined) return known;
    const identifier = this.scope.take(name);
    this.identifiers.set(name, identifier);
    return identifier;
  }
}

function sumTerms(index: Index): readonly Index[] {
  if (typeof index === "number" || index.kind !== "add") return [index];
  return [...sumTerms(index.left), ...sumTerms(index.right)];
}
