import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Session } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";

/**
 * [rows, n] . [n, n] in single precision, which takes half the time of double precision: the moments come from single
 * precision as well, and the steps that use the products correct each other.
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
  /** The last matrix: many products are made with the same one. */
  private last: { readonly given: Float64Array; readonly matrix: Float32Array } | undefined;

  private constructor(private readonly session: Session) {}

  static async open(threads: number): Promise<RuntimeProduct> {
    return new RuntimeProduct(await openSession(product, { threads }));
  }

  /** rows [count, n] . matrix [n, n], both row-major; the matrix must not change between two products. */
  async multiply(rows: Float64Array, matrix: Float64Array, n: number): Promise<Float64Array> {
    if (this.last?.given !== matrix) this.last = { given: matrix, matrix: new Float32Array(matrix) };
    const results = await this.session.run({
      rows: new OrtTensor("float32", new Float32Array(rows), [rows.length / n, n]),
      matrix: new OrtTensor("float32", this.last.matrix, [n, n]),
    });
    const data = results.product?.data;
    if (data instanceof Float32Array) return new Float64Array(data);
    throw new PenniError("internal", "the runtime gave no matrix product");
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
