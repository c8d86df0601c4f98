import { hasInput, present } from "../../graph/at.js";
import { intAttributeOr } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { ofInput } from "../../graph/operands.js";
import { elementCount, float32Tensor, numericData } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import { stridesOf } from "../core/dims.js";
import { integerRange, quantizedType } from "../families/quantization.js";

/** The numbers of a constant, whatever their type. */
export interface Integers {
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

/** The numbers of an initializer; undefined where there is none, or its type is unknown to Penni. */
export function integersOf(tensor: Tensor | undefined): Integers | undefined {
  if (tensor === undefined) return undefined;
  try {
    return { dims: tensor.dims, values: numericData(tensor) };
  } catch (error) {
    if (error instanceof PenniError) return undefined;
    throw error;
  }
}

/** Scale and zero point of each element of a tensor. */
interface Parameters {
  scale(at: number): number;
  zeroPoint(at: number): number;
}

/**
 * The parameters in inputs 1 and 2 of a node, for the whole tensor, along an axis or for blocks; undefined if they are
 * not constant or do not fit.
 */
function parametersOf(
  node: Node,
  dims: readonly number[],
  initializers: ReadonlyMap<string, Tensor>,
  stated: number,
): Parameters | undefined {
  const lookup = (index: number, otherwise: number): ((at: number) => number) | undefined => {
    if (!hasInput(node, index)) return () => otherwise;
    const found = integersOf(ofInput(initializers, node, index));
    return found === undefined
      ? undefined
      : along(found, dims, stated, intAttributeOr(node, "block_size", 0));
  };
  const [scale, zeroPoint] = [lookup(1, 1), lookup(2, 0)];
  return scale === undefined || zeroPoint === undefined ? undefined : { scale, zeroPoint };
}

function along(
  { dims: own, values }: Integers,
  dims: readonly number[],
  stated: number,
  block: number,
): ((at: number) => number) | undefined {
  const [first] = values;
  if (first === undefined) return undefined;
  if (values.length === 1) return () => first;
  const axis = stated < 0 ? stated + dims.length : stated;
  const stride = stridesOf(dims)[axis];
  const size = dims[axis];
  if (stride === undefined || size === undefined) return undefined;
  if (own.length === 1)
    return own[0] === size ? (at) => present(values[Math.floor(at / stride) % size]) : undefined;
  const blocks = own[axis];
  const others =
    own.length === dims.length && own.every((dim, other) => other === axis || dim === dims[other]);
  if (block <= 0 || !others || blocks !== Math.ceil(size / block)) return undefined;
  return (at) => {
    const [outer, within, inner] = [
      Math.floor(at / (stride * size)),
      Math.floor(at / stride) % size,
      at % stride,
    ];
    return present(values[(outer * blocks + Math.floor(within / block)) * stride + inner]);
  };
}

const statedAxis = (node: Node): number => intAttributeOr(node, "axis", 1);

/** (integer - zero point) * scale, by inputs 1 and 2 of a node; undefined if these are computed or not of float32. */
export function realNumbers(
  node: Node,
  { dims, values }: Integers,
  initializers: ReadonlyMap<string, Tensor>,
  axis = statedAxis(node),
): Tensor | undefined {
  const scale = ofInput(initializers, node, 1);
  if (scale !== undefined && scale.type !== "float32") return undefined;
  const parameters = parametersOf(node, dims, initializers, axis);
  if (parameters === undefined) return undefined;
  const numbers = new Float32Array(elementCount(dims));
  values.forEach((value, at) => {
    numbers[at] = (value - parameters.zeroPoint(at)) * parameters.scale(at);
  });
  return float32Tensor(dims, numbers);
}

/** What QuantizeLinear makes of a constant; undefined if its parameters are computed. */
export function quantizeConstant(
  node: Node,
  tensor: Tensor,
  initializers: ReadonlyMap<string, Tensor>,
): Integers | undefined {
  const source = integersOf(tensor);
  if (source === undefined) return undefined;
  const parameters = parametersOf(node, source.dims, initializers, statedAxis(node));
  if (parameters === undefined) return undefined;
  const { low, high } = integerRange(node, quantizedType(node, ofInput(initializers, node, 2)?.type));
  const values = source.values.map((value, at) => {
    const whole = halfToEven(Math.fround(value / parameters.scale(at))) + parameters.zeroPoint(at);
    return Math.max(low, Math.min(high, whole));
  });
  return { dims: source.dims, values };
}

function halfToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}
