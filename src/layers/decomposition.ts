import { orDefault, present } from "../graph/at.js";
import type { GraphLinks } from "../graph/links.js";
import { elementCount, int64Data } from "../graph/tensor.js";
import type { Node, Tensor } from "../graph/types.js";

/**
 * A convolution weight W[K, C, R, S] = Reshape(MatMul(coefs, basis), shape): kernel (k, c) is the sum over b
 * of coefs[k, c, b] * basis[b].
 */
export interface Decomposition {
  readonly conv: Node;
  readonly matmul: Node;
  readonly reshape: Node;
  /** True if another node also reads a part of the expression (the basis alone does not count). */
  readonly shared: boolean;
  /** float32 [K, C, d]. */
  readonly coefs: { readonly name: string; readonly tensor: Tensor };
  /** float32 [d, R * S]; other layers may share it. */
  readonly basis: { readonly name: string; readonly tensor: Tensor };
  /** Name of the int64 initializer [K, C, R, S]. */
  readonly shape: string;
  readonly dims: {
    readonly outputs: number;
    readonly inputs: number;
    readonly basis: number;
    /** Kernel extents [R, S]. */
    readonly kernel: readonly number[];
  };
}

/** The kernels [n, taps] that coefficients [n, d] and a basis [d, taps] stand for, row-major, summed in float64. */
export function mergeFactors(coefs: ArrayLike<number>, basis: ArrayLike<number>, taps: number): Float32Array {
  const d = basis.length / taps;
  const kernels = new Float32Array((coefs.length / d) * taps);
  for (let kernel = 0; kernel < coefs.length / d; kernel++) {
    for (let tap = 0; tap < taps; tap++) {
      let sum = 0;
      for (let b = 0; b < d; b++) sum += present(coefs[kernel * d + b]) * present(basis[b * taps + tap]);
      kernels[kernel * taps + tap] = sum;
    }
  }
  return kernels;
}

/** More kernels than the largest basis that Penni makes has; analysing one takes time with the cube of their number. */
const LARGEST_BASIS = 256;

/** Recognises the decomposed weight of a Conv node; undefined where the weight is anything else. */
export function findDecomposition(links: GraphLinks, conv: Node): Decomposition | undefined {
  if (conv.op !== "Conv") return undefined;
  const reshape = producer(links, conv.inputs[1], "Reshape");
  const matmul = reshape === undefined ? undefined : producer(links, reshape.inputs[0], "MatMul");
  if (reshape === undefined || matmul === undefined) return undefined;
  const coefs = initializer(links, matmul.inputs[0], "float32");
  const basis = initializer(links, matmul.inputs[1], "float32");
  const shape = initializer(links, reshape.inputs[1], "int64");
  if (coefs === undefined || basis === undefined || shape === undefined) return undefined;

  const [outputs, inputs, depth, ...rest] = coefs.tensor.dims;
  const [k, c, ...kernel] = [...int64Data(shape.tensor)].map(Number);
  if (outputs === undefined || inputs === undefined || depth === undefined || rest.length > 0)
    return undefined;
  const [rows, taps] = basis.tensor.dims;
  if (k !== outputs || c !== inputs || basis.tensor.dims.length !== 2) return undefined;
  if (rows !== depth || depth < 1 || depth > LARGEST_BASIS) return undefined;
  if (elementCount(kernel) !== taps || kernel.some((size) => size < 1)) return undefined;
  const parts = [coefs.name, ...matmul.outputs, ...reshape.outputs];
  const shared = parts.some((name) => readerCount(links, name) !== 1);
  const dims = { outputs, inputs, basis: depth, kernel };
  return { conv, matmul, reshape, shared, coefs, basis, shape: shape.name, dims };
}

/** A node of two inputs: what a broken file gives it besides would be lost with it. */
function producer(links: GraphLinks, name: string | undefined, op: string): Node | undefined {
  const node = name === undefined ? undefined : links.producers.get(name);
  return node?.op === op && node.domain === "" && node.inputs.length === 2 ? node : undefined;
}

/** How many readers a value has; being an output of the graph counts as one. */
function readerCount(links: GraphLinks, name: string): number {
  return orDefault(links.readers.get(name)?.length, 0) + (links.outputNames.has(name) ? 1 : 0);
}

function initializer(
  links: GraphLinks,
  name: string | undefined,
  type: Tensor["type"],
): { name: string; tensor: Tensor } | undefined {
  const tensor = name === undefined ? undefined : links.graph.initializers.get(name);
  return name === undefined || tensor?.type !== type ? undefined : { name, tensor };
}
