import {
  binary,
  broadcast,
  constant,
  KernelBuilder,
  load,
  multiplyAdd,
  plus,
  times,
} from "../kernel_builder.js";
import type { Index, Kernel, Lanes, Pointer, Value } from "../loops.js";

/** How far a bias moves on with each row and column of the product; 0 repeats it. */
export interface BiasStrides {
  readonly row: number;
  readonly column: 0 | 1;
}

/**
 * y [..., rows, outputs] = alpha x [..., rows, inputs] . w [..., inputs, outputs] + beta bias, all matrices row by row.
 */
export interface DenseProduct {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly alpha: number;
  readonly beta: number;
  readonly bias: BiasStrides | undefined;
  /** Whether w is in the order of `packColumns`, and not row by row. */
  readonly isPacked: boolean;
  /** Leading axes, and how many matrices of x and of w each moves on; the products follow each other. */
  readonly batch: readonly { readonly size: number; readonly x: number; readonly w: number }[];
}

/** Vector registers that hold sums; the others of 16 hold what is multiplied. */
const ACCUMULATORS = 12;
const MOST_ROWS = 4;
/** With one row there is little else to hold. */
const MOST_VECTORS = 8;

/** How many columns of the product are computed at once. */
export function columnsAtOnce(rows: number, width: number): number {
  const together = Math.min(MOST_ROWS, rows);
  return width * Math.min(MOST_VECTORS, Math.floor(ACCUMULATORS / together));
}

/**
 * A matrix [inputs, outputs] in the order in which the kernel reads it: by block of columns, each row by row. Otherwise every
 * row of a block lies on another page.
 */
export function packColumns(
  { inputs, outputs }: Pick<DenseProduct, "inputs" | "outputs">,
  block: number,
  weight: (input: number, output: number) => number,
): Float32Array {
  const packed = new Float32Array(inputs * outputs);
  let to = 0;
  for (let first = 0; first < outputs; first += block) {
    const last = Math.min(first + block, outputs);
    for (let input = 0; input < inputs; input++) {
      for (let output = first; output < last; output++) packed[to++] = weight(input, output);
    }
  }
  return packed;
}

/** Parameters: x, w, (bias,) y. */
export function gemmKernel(product: DenseProduct, width: number): Kernel {
  const { rows, inputs, outputs, batch } = product;
  const k = new KernelBuilder(
    `gemm_${inputs}_to_${outputs}`,
    `Product of ${rows} x ${inputs} numbers and a matrix of ${inputs} x ${outputs}.`,
  );
  const x = k.input("x");
  const w = k.input("w");
  const bias = product.bias === undefined ? undefined : k.input("bias");
  const parts: Parts = { k, product, x, w, bias, y: k.output("y"), width };
  const overBatch = (axis: number, places: MatrixPlaces): void => {
    const part = batch[axis];
    if (part === undefined) {
      multiplyMatrices(parts, places);
      return;
    }
    const inner = batch.slice(axis + 1).reduce((count, { size }) => count * size, 1);
    k.loop("matrix", 0, part.size, 1, (i) =>
      overBatch(axis + 1, {
        x: plus(places.x, times(i, part.x * rows * inputs)),
        w: plus(places.w, times(i, part.w * inputs * outputs)),
        y: plus(places.y, times(i, inner * rows * outputs)),
      }),
    );
  };
  overBatch(0, { x: 0, w: 0, y: 0 });
  return k.build();
}

interface Parts {
  readonly k: KernelBuilder;
  readonly product: DenseProduct;
  readonly x: Pointer;
  readonly w: Pointer;
  readonly bias: Pointer | undefined;
  readonly y: Pointer;
  readonly width: number;
}

interface MatrixPlaces {
  readonly x: Index;
  readonly w: Index;
  readonly y: Index;
}

function multiplyMatrices(parts: Parts, places: MatrixPlaces): void {
  const { k, product, width } = parts;
  const { rows, inputs, outputs, isPacked } = product;
  const together = Math.min(MOST_ROWS, rows);
  const step = columnsAtOnce(rows, width);
  const most = step / width;
  const whole = outputs - (outputs % step);
  const vectors = Math.floor((outputs - whole) / width);
  const rest = whole + vectors * width;
  const plain = (first: Index): WeightColumns => ({ start: first, line: outputs });
  const inBlock = (first: Index, line: number): WeightColumns =>
    isPacked ? { start: times(first, inputs), line } : plain(first);
  // Behind the whole blocks is one of all columns that are left.
  const left = (column: Index): WeightColumns =>
    isPacked ? { start: plus(whole * inputs, column), line: outputs - whole } : plain(plus(whole, column));
  const overColumns = (row: Index, count: number): void => {
    k.loop("output", 0, whole, step, (first) =>
      productBlock(parts, places, {
        row,
        rows: count,
        lanes: "vector",
        first,
        columns: most,
        weights: inBlock(first, step),
      }),
    );
    if (vectors > 0)
      productBlock(parts, places, {
        row,
        rows: count,
        lanes: "vector",
        first: whole,
        columns: vectors,
        weights: left(0),
      });
    k.loop("output", rest, outputs, 1, (first) =>
      productBlock(parts, places, {
        row,
        rows: count,
        lanes: "scalar",
        first,
        columns: 1,
        weights: left(plus(first, -whole)),
      }),
    );
  };
  const wholeRows = rows - (rows % together);
  k.loop("row", 0, wholeRows, together, (row) => overColumns(row, together));
  if (wholeRows < rows) overColumns(wholeRows, rows - wholeRows);
}

/** Some rows and some vectors (or numbers) of columns of the product. */
interface ProductBlock {
  readonly row: Index;
  readonly rows: number;
  readonly lanes: Lanes;
  readonly first: Index;
  readonly columns: number;
  readonly weights: WeightColumns;
}

/** Where the first row of some columns of w is, and how far the next one. */
interface WeightColumns {
  readonly start: Index;
  readonly line: number;
}

function productBlock(
  { k, product, x, w, bias, y, width }: Parts,
  places: MatrixPlaces,
  { row, rows, lanes, first, columns, weights }: ProductBlock,
): void {
  const { inputs, outputs, alpha, beta } = product;
  const size = lanes === "vector" ? width : 1;
  const isPlain = alpha === 1 && beta === 1;
  const biasAt = (r: number, column: number): Value => {
    if (bias === undefined || product.bias === undefined) return constant(0);
    const line = times(plus(row, r), product.bias.row);
    if (product.bias.column === 0) return broadcast(bias, line);
    return load(bias, plus(line, first, column * size));
  };
  const initial = (r: number, column: number): Value => (isPlain ? biasAt(r, column) : constant(0));
  const sums = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: columns }, (_, column) => k.value("sum", lanes, initial(r, column))),
  );
  const from = k.index("from", plus(places.x, times(row, inputs))).read;
  k.loop("i", 0, inputs, 1, (i) => {
    const line = k.index("line", plus(places.w, times(i, weights.line), weights.start)).read;
    const loaded = Array.from(
      { length: columns },
      (_, column) => k.value("weight", lanes, load(w, plus(line, column * size))).read,
    );
    sums.forEach((sumsOfRow, r) => {
      const factor = k.value("factor", lanes, broadcast(x, plus(from, i, r * inputs))).read;
      sumsOfRow.forEach((sum, column) => {
        const weight = loaded[column];
        if (weight !== undefined) sum.set(multiplyAdd(weight, factor, sum.read));
      });
    });
  });
  sums.forEach((sumsOfRow, r) => {
    const to = k.index("to", plus(places.y, times(plus(row, r), outputs), first)).read;
    sumsOfRow.forEach((sum, column) => {
      const scaled = binary("multiply", sum.read, constant(alpha));
      const result = isPlain ? sum.read : multiplyAdd(biasAt(r, column), constant(beta), scaled);
      k.store(lanes, y, plus(to, column * size), result);
    });
  });
}
