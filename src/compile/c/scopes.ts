import { countOf, entryOf, listOf, orDefault } from "../../graph/at.js";
import { pushTo } from "../../graph/push_to.js";
import type { Index, Statement, Value } from "../loops.js";

/** Where a kernel's variables are to be declared in C, and which are never read. */
export interface Scopes {
  /** Variables to declare, without a value, at the head of a block. */
  headOf(block: readonly Statement[]): readonly DeclaredVariable[];
  /** Whether this statement is where its variable is declared. */
  declares(statement: Statement): boolean;
  /** Whether a variable or counter is set in one place only. */
  isConstant(variable: string): boolean;
  /** Whether a variable or parameter is read at all. */
  isRead(name: string): boolean;
  /** Whether a variable that is set in one place is read in several. */
  isShared(variable: string): boolean;
}

export interface DeclaredVariable {
  readonly name: string;
  readonly type: "index" | "scalar" | "vector";
}

type Block = readonly Statement[];
type SetStatement = Extract<Statement, { readonly kind: "setIndex" | "setValue" }>;

interface Use {
  /** Blocks from the kernel's body inwards to where the variable occurs. */
  readonly path: readonly Block[];
  readonly statement: Statement;
}

/**
 * A variable is declared in the innermost block around all its uses: by the first of them, if that sets it there. Sets
 * of variables that nobody reads do not count as uses of what they read.
 */
export function findScopes(body: Block): Scopes {
  const read = findReads(body);
  const uses = new Map<string, Use[]>();
  const types = new Map<string, DeclaredVariable["type"]>();
  const sets = new Map<string, number>();
  walk(body, [body], (statement, path) => {
    if (isSet(statement) && !read.has(statement.variable)) return;
    const use = (name: string): void => pushTo(uses, name, { path, statement });
    for (const name of namesRead(statement)) use(name);
    if (!isSet(statement)) return;
    use(statement.variable);
    sets.set(statement.variable, countOf(sets, statement.variable) + 1);
    types.set(statement.variable, statement.kind === "setIndex" ? "index" : statement.lanes);
  });
  const declaring = new Set<Statement>();
  const heads = new Map<Block, DeclaredVariable[]>();
  for (const [name, type] of types) {
    const all = entryOf(uses, name);
    const block = innermostBlock(all);
    const [first] = all;
    if (first !== undefined && isSet(first.statement) && first.path.at(-1) === block) {
      declaring.add(first.statement);
    } else pushTo(heads, block ?? body, { name, type });
  }
  // A loop's counter is set by its loop alone.
  const isConstant = (variable: string): boolean => orDefault(sets.get(variable), 1) === 1;
  return {
    headOf: (block) => listOf(heads, block),
    declares: (statement) => declaring.has(statement),
    isConstant,
    isRead: (name) => read.has(name),
    // One of the uses is where it is set.
    isShared: (variable) => isConstant(variable) && listOf(uses, variable).length > 2,
  };
}

export function isSet(statement: Statement): statement is SetStatement {
  return statement.kind === "setIndex" || statement.kind === "setValue";
}

/** All that statements with an effect need, directly or through other variables. */
function findReads(body: Block): ReadonlySet<string> {
  const sources = new Map<string, Set<string>>();
  const read = new Set<string>();
  walk(body, [body], (statement) => {
    const names = namesRead(statement);
    if (!isSet(statement)) {
      for (const name of names) read.add(name);
      return;
    }
    const known = sources.get(statement.variable) ?? new Set();
    for (const name of names) known.add(name);
    sources.set(statement.variable, known);
  });
  // A set grows while it is gone over, and what is added is gone over too.
  for (const name of read) sources.get(name)?.forEach((source) => void read.add(source));
  return read;
}

function walk(
  block: Block,
  path: readonly Block[],
  visit: (statement: Statement, path: readonly Block[]) => void,
): void {
  for (const statement of block) {
    visit(statement, path);
    if (statement.kind === "loop") walk(statement.body, [...path, statement.body], visit);
  }
}

function innermostBlock(uses: readonly Use[]): Block | undefined {
  const [first, ...others] = uses.map((use) => use.path);
  return first?.findLast((block) => others.every((path) => path.includes(block)));
}

/** Variables and parameters that a statement reads itself, and those it stores through. */
function namesRead(statement: Statement): readonly string[] {
  switch (statement.kind) {
    case "loop":
      return [...namesInIndex(statement.from), ...namesInIndex(statement.to)];
    case "setIndex":
      return namesInIndex(statement.value);
    case "setValue":
      return namesInValue(statement.value);
    case "prefetch":
      return [statement.pointer, ...namesInIndex(statement.position)];
    case "store":
      return [statement.pointer, ...namesInIndex(statement.position), ...namesInValue(statement.value)];
  }
}

function namesInIndex(index: Index): readonly string[] {
  if (typeof index === "number") return [];
  switch (index.kind) {
    case "variable":
      return [index.name];
    case "entry":
      return [index.pointer, ...namesInIndex(index.position)];
    case "fromValue":
      return namesInValue(index.value);
    case "add":
    case "multiply":
      return [...namesInIndex(index.left), ...namesInIndex(index.right)];
  }
}

function namesInValue(value: Value): readonly string[] {
  switch (value.kind) {
    case "constant":
      return [];
    case "variable":
      return [value.name];
    case "load":
    case "broadcast":
      return [value.pointer, ...namesInIndex(value.position)];
    case "fromIndex":
      return namesInIndex(value.index);
    case "unary":
      return namesInValue(value.operand);
    case "binary":
      return [value.left, value.right].flatMap(namesInValue);
    case "multiplyAdd":
      return [value.left, value.right, value.addend].flatMap(namesInValue);
    case "select":
      return [value.left, value.right, value.chosen, value.other].flatMap(namesInValue);
  }
}
