import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Session } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";

/**
 * [rows, inner] . [inner, width] in single precision, which takes half the time of double precision: the moments come
 * from single precision as well, and the steps that use the products correct each other.
 */
const product: Graph = {
  name: "product",
  opsets: new Map([["", 17]]),
  inputs: ["rows", "matrix"].map((name) => ({
    name,
    type: { elementType: "float32" as const, shape: [undefined, undefined] },
  })),
  outputs: [{ name: "product", type: { elementType: "float32", shape: [undefined, undefined] } }],
  nodes: [
    {
      name: "MatMul",
      op: "MatMul",
      domain: "",
      inputs: ["rows", "matrix"],
      outputs: ["product"],
      attributes: new Map(),
    },
  ],
  initializers: new Map(),
  valueInfo: new Map(),
  metadata: new Map(),
};

/** Matrix products by the runtime, which takes all its threads and vectors: a hundred times as fast as a loop here. */
export class RuntimeProduct {
  /** The last matrix of double precision: many products are made with the same one. */
  private last: { readonly given: Float64Array; readonly matrix: Float32Array } | undefined;

  private constructor(private readonly session: Session) {}

  static async open(threads: number): Promise<RuntimeProduct> {
    return new RuntimeProduct(await openSession(product, { threads }));
  }

  /** rows [count, inner] . matrix [inner, width], all row-major; the matrix must not change between two products. */
  async multiply(
    rows: Float32Array,
    matrix: Float32Array | Float64Array,
    inner: number,
  ): Promise<Float32Array> {
    const results = await this.session.run({
      rows: new OrtTensor("float32", rows, [rows.length / inner, inner]),
      matrix: new OrtTensor("float32", this.single(matrix), [inner, matrix.length / inner]),
    });
    const data = results.product?.data;
    if (data instanceof Float32Array) return data;
    throw new PenniError("internal", "the runtime gave no matrix product");
  }

  private single(matrix: Float32Array | Float64Array): Float32Array {
    if (matrix instanceof Float32Array) return matrix;
    if (this.last?.given !== matrix) this.last = { given: matrix, matrix: new Float32Array(matrix) };
    return this.last.matrix;
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
