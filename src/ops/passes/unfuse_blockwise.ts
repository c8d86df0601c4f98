import { at, outputOf, present } from "../../graph/at.js";
import { intAttribute, intAttributeOr } from "../../graph/attributes.js";
import { inputOrOmitted, inputsOf } from "../../graph/operands.js";
import { elementCount, float32Data, float32Tensor } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import { unpackedBits } from "../../onnx/unpacked_bits.js";
import type { TypedBuilder } from "../inference/builder.js";

/** A matrix [K, N] of small integers: each column in blocks, each block with a scale and a zero point. */
interface Blocks {
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  readonly block: number;
  /** Blocks of a column; the last may be short, and has its full size in the file. */
  readonly count: number;
}

/**
 * ONNX Runtime's MatMulNBits, of which only the weights are quantized, as MatMul with the matrix that they stand for.
 * Inputs: x, the matrix, scales, zero points, an order of the rows, a bias. False where one of them is computed, or in
 * another form than the operator's description has.
 */
export function matMulOfBlocks(b: TypedBuilder, node: Node): boolean {
  const [x, packed, scale] = inputsOf(node, 3);
  const [zeroPoint, order, bias] = [3, 4, 5].map((index) => inputOrOmitted(node, index));
  const blocks = blocksOf(node);
  if (blocks === undefined || order !== "" || b.types.get(x)?.elementType !== "float32") return false;
  const integers = integersOf(b.constantTensor(packed), blocks);
  const scales = numbersOf(b.constantTensor(scale), blocks);
  if (integers === undefined || scales === undefined) return false;
  const zeros = zeroPoint === "" ? middles(blocks) : zerosOf(b.constantTensor(present(zeroPoint)), blocks);
  if (zeros === undefined) return false;
  const matrix = b.constant(`${packed}_real`, realMatrix(blocks, integers, scales, zeros));
  const y = outputOf(node, 0);
  const product = bias === "" ? y : b.freshName(`${y}_product`);
  b.emit("MatMul", [x, matrix], { outputs: [product] });
  if (bias !== "") b.emit("Add", [product, present(bias)], { outputs: [y] });
  return true;
}

function blocksOf(node: Node): Blocks | undefined {
  const [rows, columns, block] = ["K", "N", "block_size"].map((name) => intAttribute(node, name));
  const bits = intAttributeOr(node, "bits", 4);
  if (rows === undefined || columns === undefined || block === undefined) return undefined;
  if (![2, 4, 8].includes(bits) || !(rows > 0 && columns > 0 && block > 0)) return undefined;
  return { rows, columns, bits, block, count: Math.ceil(rows / block) };
}

const BYTE = 8;

/** All integers, those behind the end of a short block as well. What the file holds bounds what the attributes say. */
function integersOf(
  tensor: Tensor | undefined,
  { columns, count, block, bits }: Blocks,
): Uint8Array | undefined {
  const numbers = columns * count * block;
  if (tensor?.type !== "uint8" || tensor.bytes.length * BYTE !== numbers * bits) return undefined;
  return unpackedBits(tensor.bytes, numbers, bits);
}

function numbersOf(tensor: Tensor | undefined, { columns, count }: Blocks): Float32Array | undefined {
  if (tensor?.type !== "float32" || elementCount(tensor.dims) !== columns * count) return undefined;
  return float32Data(tensor);
}

const middles = ({ columns, count, bits }: Blocks): Float32Array =>
  new Float32Array(columns * count).fill(2 ** (bits - 1));

/** Zero points: numbers, or integers that share bytes, each column's beginning with a byte of its own. */
function zerosOf(tensor: Tensor | undefined, blocks: Blocks): ArrayLike<number> | undefined {
  const { columns, count, bits } = blocks;
  if (tensor?.type !== "uint8") return numbersOf(tensor, blocks);
  const bytes = Math.ceil((count * bits) / BYTE);
  if (tensor.bytes.length !== columns * bytes) return undefined;
  const zeros = new Uint8Array(columns * count);
  for (let column = 0; column < columns; column++) {
    const packed = tensor.bytes.subarray(column * bytes, (column + 1) * bytes);
    zeros.set(unpackedBits(packed, count, bits), column * count);
  }
  return zeros;
}

function realMatrix(
  { rows, columns, block, count }: Blocks,
  integers: Uint8Array,
  scales: Float32Array,
  zeros: ArrayLike<number>,
): Tensor {
  const numbers = new Float32Array(rows * columns);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      const of = column * count + Math.floor(row / block);
      const integer = at(integers, of * block + (row % block));
      numbers[row * columns + column] = Math.fround(integer - at(zeros, of)) * at(scales, of);
    }
  }
  return float32Tensor([rows, columns], numbers);
}
