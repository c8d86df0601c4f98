import { orDefault, present } from "../../graph/at.js";
import type { GraphProto, NodeProto, TensorProto } from "../gen/onnx_pb.js";
import { checkedDims, tensorError } from "../tensors.js";
import { BITS, codes, NUMBERS, PACKED_DOMAIN, tensorOf } from "./format.js";
import { isUnpacking } from "./functions.js";

/**
 * Puts initializers in the place of the nodes that unpack them, where these are as Penni writes them: the message itself
 * is changed.
 * @param allowance bytes that all of them together may take
 * @throws PenniError "bad-model" if their parts contradict each other or they are too large
 */
export function unpackInitializers(graph: GraphProto, allowance: number): void {
  const calls = graph.node.filter(({ domain, opType }) => domain === PACKED_DOMAIN && isUnpacking(opType));
  if (calls.length === 0) return;
  const known = new Map(graph.initializer.map((each) => [each.name, each]));
  const done = new Set<NodeProto>();
  let left = allowance;
  for (const call of calls) {
    const tensor = unpacked(call, known, left);
    if (tensor === undefined) continue;
    left -= tensor.rawData.byteLength;
    graph.initializer.push(tensor);
    known.set(tensor.name, tensor);
    done.add(call);
  }
  graph.node = graph.node.filter((each) => !done.has(each));
  const read = new Set(graph.node.flatMap(({ input }) => input));
  // What was unpacked only to be unpacked further goes along.
  const parts = new Set([...done].flatMap(({ input }) => input).filter((name) => !read.has(name)));
  graph.initializer = graph.initializer.filter(({ name }) => !parts.has(name));
}

function unpacked(
  { opType, input, output, attribute }: NodeProto,
  known: ReadonlyMap<string, TensorProto>,
  allowance: number,
): TensorProto | undefined {
  const [places, values = opType === NUMBERS ? noValues : undefined] = input.map((name) => known.get(name));
  const [name] = output;
  const [shape, offset] = ["shape", "offset"].map((wanted) => attribute.find((each) => each.name === wanted));
  if (places === undefined || values === undefined || name === undefined || shape === undefined)
    return undefined;
  // As other tools may have written it again: what its function says is what it means.
  const isOurs = places.dataType === codes.uint8 && values.dataType === codes.int8;
  if (!isOurs || places.rawData.byteLength === 0 || values.rawData.byteLength === 0) return undefined;
  const { dims, count } = checkedDims(name, shape.ints);
  if (count > allowance) {
    throw tensorError(name, "is too large when unpacked", `at most ${allowance} bytes`, `${count}`);
  }
  if (opType === NUMBERS) {
    const [length, width] = dims;
    if (
      length === undefined ||
      width === undefined ||
      width > 8 ||
      places.rawData.length !== Math.ceil((length * width) / 8) ||
      offset === undefined
    )
      throw tensorError(name, "is packed in parts that contradict each other");
    return tensorOf(name, [length], "int8", fromStream(places.rawData, length, width, Number(offset.i)));
  }
  const bytes = new Uint8Array(count);
  const isWhole = (opType === BITS ? fromBits : fromGaps)(bytes, places.rawData, values.rawData);
  if (!isWhole) throw tensorError(name, "is packed in parts that contradict each other");
  return tensorOf(name, dims, "int8", bytes);
}

const noValues = tensorOf("", [1], "int8", new Uint8Array(1));

function fromStream(places: Uint8Array, length: number, width: number, offset: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => {
    let value = offset;
    for (let bit = 0; bit < width; bit++) {
      const place = at * width + bit;
      value += ((present(places[place >> 3]) >> (place & 7)) & 1) << bit;
    }
    return value;
  });
}

/** Places and values that are too few are found at the end, by what was taken of them. */
function fromBits(bytes: Uint8Array, places: Uint8Array, values: Uint8Array): boolean {
  let next = 0;
  for (let at = 0; at < bytes.length; at++) {
    if ((orDefault(places[at >> 3], 0) & (1 << (at & 7))) === 0) bytes[at] = present(values[0]);
    else bytes[at] = orDefault(values[++next], 0);
  }
  return next < values.length && places.length === Math.ceil(bytes.length / 8) && values[0] === 0;
}

function fromGaps(bytes: Uint8Array, places: Uint8Array, values: Uint8Array): boolean {
  let at = 0;
  places.forEach((gap, index) => {
    at += gap;
    if (at < bytes.length) bytes[at] = orDefault(values[index], 0);
  });
  return at < bytes.length && places.length === values.length;
}
