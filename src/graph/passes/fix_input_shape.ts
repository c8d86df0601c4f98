import { orDefault } from "../at.js";
import { BATCH_SYMBOL } from "../batch_symbol.js";
import { PenniError } from "../errors.js";
import type { Dim, Graph, Shape, ValueInfo } from "../types.js";

/**
 * The graph with fixed input dimensions, by input name; other inputs keep theirs. Declared types of intermediate
 * values and of the outputs are adapted: a symbol that was fixed becomes its number everywhere. Where a number was
 * changed, the outputs' sizes are left open, to be inferred, and the types of intermediate values are dropped.
 * @throws PenniError "bad-option" if there is no such input or the rank differs.
 */
export function fixInputShape(graph: Graph, dims: ReadonlyMap<string, readonly number[]>): Graph {
  if (dims.size === 0) return graph;
  checkShapes(graph, dims);
  return fixDims(graph, (input) => dims.get(input.name) ?? input.type?.shape);
}

/**
 * `fixInputShape` for a model that is to be compressed or evaluated: an input whose first dimension is open keeps it,
 * so that the batch can still be chosen; only the other dimensions are fixed.
 * @throws PenniError as `fixInputShape`
 */
export function specializeInputs(graph: Graph, dims: ReadonlyMap<string, readonly number[]>): Graph {
  if (dims.size === 0) return graph;
  checkShapes(graph, dims);
  return fixDims(graph, ({ name, type }) => {
    const fixed = dims.get(name);
    const batch = type?.shape?.[0];
    return fixed === undefined || fixed.length === 0 || typeof batch === "number"
      ? (fixed ?? type?.shape)
      : [batch, ...fixed.slice(1)];
  });
}

/**
 * The graph for a fixed batch: the first dimension of every input of rank 1 or more becomes `batch`, whether
 * it was dynamic or not. Otherwise as `fixInputShape`.
 * @throws PenniError "bad-option" if the batch is not a positive integer.
 */
export function fixBatch(graph: Graph, batch: number): Graph {
  if (!isSize(batch)) {
    throw new PenniError("bad-option", "the batch size is impossible", {
      expected: "a positive integer",
      found: `${batch}`,
    });
  }
  return fixDims(graph, ({ type }) => {
    const shape = type?.shape;
    return shape === undefined || shape.length === 0 ? shape : shape.with(0, batch);
  });
}

/** `fixBatch` for a model that may state its batch: only a first dimension that is open becomes `batch`. */
export function fixOpenBatch(graph: Graph, batch: number): Graph {
  return fixDims(graph, ({ type }) => {
    const shape = type?.shape;
    return shape === undefined || shape.length === 0 || typeof shape[0] === "number"
      ? shape
      : shape.with(0, batch);
  });
}

function checkShapes(graph: Graph, dims: ReadonlyMap<string, readonly number[]>): void {
  for (const name of dims.keys()) expectInput(graph, name);
  for (const { name, type } of graph.inputs) expectFits(name, type?.shape, dims.get(name));
}

function fixDims(graph: Graph, shapeFor: (input: ValueInfo) => Shape | undefined): Graph {
  const symbols = new Map<string, number>();
  let sizesChanged = false;
  let onlyBatchChanged = true;
  const batch = graph.inputs[0] === undefined ? undefined : shapeFor(graph.inputs[0])?.[0];
  if (typeof batch === "number") symbols.set(BATCH_SYMBOL, batch);
  for (const input of graph.inputs) {
    const fixed = shapeFor(input);
    input.type?.shape?.forEach((dim, axis) => {
      const size = fixed?.[axis];
      if (typeof dim === "string" && typeof size === "number") symbols.set(dim, size);
      if (typeof dim !== "number" || dim === size) return;
      sizesChanged = true;
      if (axis > 0) onlyBatchChanged = false;
    });
  }
  const inputs = graph.inputs.map((input) =>
    withShape(
      input,
      shapeFor(input)?.map((dim) => substitute(dim, symbols)),
    ),
  );
  const open = new Set(inputs.flatMap(({ type }) => orDefault(type?.shape, [])));
  const adapt = (dim: Dim): Dim => {
    if (typeof dim === "number") return sizesChanged ? undefined : dim;
    const adapted = substitute(dim, symbols);
    return typeof adapted === "number" || adapted === BATCH_SYMBOL || open.has(adapted) ? adapted : undefined;
  };
  return {
    ...graph,
    inputs,
    outputs: graph.outputs.map((output) => withShape(output, output.type?.shape?.map(adapt))),
    valueInfo: sizesChanged
      ? measuredInfo(graph, onlyBatchChanged ? batch : undefined)
      : new Map(
          [...graph.valueInfo].map(([name, info]) => [name, withShape(info, info.type?.shape?.map(adapt))]),
        ),
  };
}

/** What holds for any batch, where it is the only size that was changed: the types in which the batch was recognised. */
function measuredInfo(graph: Graph, batch: Dim): ReadonlyMap<string, ValueInfo> {
  if (batch === undefined) return new Map();
  const follows = [...graph.valueInfo].filter(([, { type }]) => type?.shape?.includes(BATCH_SYMBOL) === true);
  return new Map(
    follows.map(([name, info]) => [
      name,
      withShape(
        info,
        info.type?.shape?.map((dim) => (dim === BATCH_SYMBOL ? batch : dim)),
      ),
    ]),
  );
}

function substitute(dim: Dim, symbols: ReadonlyMap<string, number>): Dim {
  return typeof dim === "string" ? (symbols.get(dim) ?? dim) : dim;
}

function withShape(info: ValueInfo, shape: Shape | undefined): ValueInfo {
  return info.type === undefined ? info : { ...info, type: { elementType: info.type.elementType, shape } };
}

function expectInput(graph: Graph, name: string): void {
  if (graph.inputs.some((input) => input.name === name)) return;
  throw new PenniError("bad-option", `the model has no input "${name}"`, {
    expected: graph.inputs.map((input) => `"${input.name}"`).join(", "),
  });
}

const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 1;

function expectFits(name: string, shape: Shape | undefined, fixed: readonly number[] | undefined): void {
  if (fixed === undefined) return;
  if (!fixed.every(isSize)) {
    throw new PenniError("bad-option", `impossible shape for input "${name}"`, {
      expected: "positive integers",
      found: `[${fixed.join(", ")}]`,
    });
  }
  if (shape === undefined || shape.length === fixed.length) return;
  throw new PenniError("bad-option", `the shape for input "${name}" has the wrong rank`, {
    expected: `${shape.length} dimensions`,
    found: `[${fixed.join(", ")}]`,
  });
}
