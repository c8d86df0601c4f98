import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Feeds, Session } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { int64Tensor } from "../graph/tensor.js";
import type { Graph, Node, Tensor } from "../graph/types.js";

/** An operator, what it reads and what it makes. */
type Step = readonly [op: string, inputs: readonly string[], output: string];

/**
 * A graph of single precision, which takes half the time of double precision: the moments come from single precision
 * as well, and the steps that use the products correct each other. Its output is "result".
 * @param ranks of the inputs
 */
function program(
  ranks: Readonly<Record<string, number>>,
  steps: readonly Step[],
  constants: ReadonlyMap<string, Tensor> = new Map(),
): Graph {
  const value = (name: string, rank: number): Graph["inputs"][number] => ({
    name,
    type: { elementType: "float32", shape: Array.from({ length: rank }, () => undefined) },
  });
  return {
    name: "algebra",
    opsets: new Map([["", 17]]),
    inputs: Object.entries(ranks).map(([name, rank]) => value(name, rank)),
    outputs: [{ name: "result", type: undefined }],
    nodes: steps.map(
      ([op, inputs, output]): Node => ({
        name: output,
        op,
        domain: "",
        inputs,
        outputs: [output],
        attributes: new Map(),
      }),
    ),
    initializers: constants,
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

const product = program({ rows: 2, matrix: 2 }, [["MatMul", ["rows", "matrix"], "result"]]);

/** rows . matrix as the transpose of matrix . rows': the runtime rearranges what stands on the right. */
const symmetricProduct = program({ rows: 2, matrix: 2 }, [
  ["Transpose", ["rows"], "columns"],
  ["MatMul", ["matrix", "columns"], "product"],
  ["Transpose", ["product"], "result"],
]);

/** [channels, taps, channels, taps] . [taps, d] from the right, and [d, taps] . from the left for each channel. */
const projection = program(
  { matrix: 4, basis: 2, across: 2 },
  [
    ["MatMul", ["matrix", "across"], "half"],
    ["Reshape", ["half", "rows"], "rows of a channel"],
    ["MatMul", ["basis", "rows of a channel"], "result"],
  ],
  new Map([["rows", int64Tensor([3], [0, 0, -1])]]),
);

/** With so few rows, rearranging a matrix takes as long as multiplying it. */
const FEW_ROWS = 128;

/** A matrix in single precision, kept: the same one is used again and again. */
class Single {
  private last: { readonly given: Float64Array; readonly values: Float32Array } | undefined;

  of(matrix: Float32Array | Float64Array): Float32Array {
    if (matrix instanceof Float32Array) return matrix;
    if (this.last?.given !== matrix) this.last = { given: matrix, values: new Float32Array(matrix) };
    return this.last.values;
  }
}

/** Matrix products by the runtime, which takes all its threads and vectors: a hundred times as fast as a loop here. */
export class RuntimeAlgebra {
  private readonly lastFactor = new Single();
  private readonly lastProjected = new Single();

  private constructor(
    private readonly products: Session,
    private readonly symmetricProducts: Session,
    private readonly projections: Session,
  ) {}

  static async open(threads: number): Promise<RuntimeAlgebra> {
    return new RuntimeAlgebra(
      await openSession(product, { threads }),
      await openSession(symmetricProduct, { threads }),
      await openSession(projection, { threads }),
    );
  }

  /** rows [count, inner] . matrix [inner, width], all row-major. */
  multiply(rows: Float32Array, matrix: Float32Array, inner: number): Promise<Float32Array> {
    return resultOf(this.products, {
      rows: new OrtTensor("float32", rows, [rows.length / inner, inner]),
      matrix: new OrtTensor("float32", matrix, [inner, matrix.length / inner]),
    });
  }

  /** rows [count, n] . matrix [n, n], both row-major, the matrix symmetric; it must not change between two products. */
  multiplySymmetric(rows: Float32Array, matrix: Float32Array | Float64Array): Promise<Float32Array> {
    const n = Math.sqrt(matrix.length);
    const count = rows.length / n;
    return resultOf(count < FEW_ROWS ? this.symmetricProducts : this.products, {
      rows: new OrtTensor("float32", rows, [count, n]),
      matrix: new OrtTensor("float32", this.lastFactor.of(matrix), [n, n]),
    });
  }

  /**
   * The matrix [channels * d, channels * d] of which a symmetric one [channels * taps, channels * taps] is left when
   * each channel's taps are projected on a basis [d, taps]. The matrix must not change between two projections.
   */
  project(matrix: Float64Array, basis: Float64Array, taps: number): Promise<Float32Array> {
    const [channels, d] = [Math.sqrt(matrix.length) / taps, basis.length / taps];
    const across = Float32Array.from(basis, (_, index) =>
      present(basis[(index % d) * taps + Math.floor(index / d)]),
    );
    return resultOf(this.projections, {
      matrix: new OrtTensor("float32", this.lastProjected.of(matrix), [channels, taps, channels, taps]),
      basis: new OrtTensor("float32", new Float32Array(basis), [d, taps]),
      across: new OrtTensor("float32", across, [taps, d]),
    });
  }

  async release(): Promise<void> {
    await this.products.release();
    await this.symmetricProducts.release();
    await this.projections.release();
  }
}

async function resultOf(session: Session, feeds: Feeds): Promise<Float32Array> {
  const { result } = await session.run(feeds);
  if (result?.data instanceof Float32Array) return result.data;
  throw new PenniError("internal", "the runtime gave no matrix product");
}
