import { create, toBinary } from "@bufbuild/protobuf";
import { present } from "../../graph/at.js";
import type { Tensor } from "../../graph/types.js";
import { type NodeProto, NodeProtoSchema, type TensorProto, TensorProtoSchema } from "../gen/onnx_pb.js";
import { encodeTensor } from "../tensors.js";
import { BITS, GAPS, integer, integers, NUMBERS, PACKED_DOMAIN, tensorOf } from "./format.js";
import { functionBytes } from "./functions.js";

const MOST_GAP = 255;

/** What takes the place of an initializer: nodes that make it of two others. */
export interface PackedInitializer {
  /** Bytes that it takes less than the ordinary form. */
  readonly saved: number;
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
}

/** Values, and where they stand, of elements that are not zero. */
interface Places {
  readonly values: readonly number[];
  readonly places: Uint8Array;
}

/** The places as bits, the lowest of each byte first; values begin with the zero that all others are. */
function asBits(bytes: Uint8Array): Places {
  const places = new Uint8Array(Math.ceil(bytes.length / 8));
  const values = [0];
  bytes.forEach((value, at) => {
    if (value === 0) return;
    places[at >> 3] = present(places[at >> 3]) | (1 << (at & 7));
    values.push(value);
  });
  return { values, places };
}

/** The places as distances, from 0 for the first; where one does not fit, zeros are written out on the way. */
function asGaps(bytes: Uint8Array): Places {
  const values: number[] = [];
  const gaps: number[] = [];
  let last = 0;
  bytes.forEach((value, at) => {
    if (value === 0) return;
    for (; at - last > MOST_GAP; last += MOST_GAP) {
      gaps.push(MOST_GAP);
      values.push(0);
    }
    gaps.push(at - last);
    values.push(value);
    last = at;
  });
  return { values, places: Uint8Array.from(gaps) };
}

/**
 * A smaller form of an int8 initializer; undefined where there is none.
 * @param dense its ordinary form
 * @param fresh hands out names
 */
function packInitializer(
  name: string,
  tensor: Tensor,
  dense: TensorProto,
  fresh: (stem: string) => string,
): PackedInitializer | undefined {
  if (tensor.type !== "int8" || tensor.dims.length === 0) return undefined;
  const nonZeros = tensor.bytes.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
  if (nonZeros === 0 || nonZeros >= tensor.bytes.length) return undefined;
  const [bits, gaps] = [asBits(tensor.bytes), asGaps(tensor.bytes)];
  const size = ({ values, places }: Places): number => values.length + places.length;
  const op = size(bits) <= size(gaps) ? BITS : GAPS;
  const { values, places } = op === BITS ? bits : gaps;
  const [placesName, valuesName] = [fresh(`${name}.p`), fresh(`${name}.v`)];
  const placesDims = op === BITS ? [places.length, 1] : [places.length];
  const unpack = create(NodeProtoSchema, {
    opType: op,
    domain: PACKED_DOMAIN,
    input: [placesName, valuesName],
    output: [name],
    attribute: [integers("shape", tensor.dims)],
  });
  const numbers = packNumbers(valuesName, Int8Array.from(values), fresh);
  const parts = numbers ?? {
    nodes: [],
    initializers: [tensorOf(valuesName, [values.length], "int8", Uint8Array.from(values))],
  };
  const nodes = [...parts.nodes, unpack];
  const initializers = [tensorOf(placesName, placesDims, "uint8", places), ...parts.initializers];
  const packed = [
    ...nodes.map((each) => toBinary(NodeProtoSchema, each)),
    ...initializers.map((each) => toBinary(TensorProtoSchema, each)),
  ];
  const bytes = packed.reduce((sum, part) => sum + part.length, 0);
  const saved = toBinary(TensorProtoSchema, dense).length - bytes;
  return saved > 0 ? { saved, nodes, initializers } : undefined;
}

/**
 * The initializers of a graph that have smaller forms, by name: none where all of them together save less than the
 * functions that unpack them take.
 */
export function packInitializers(
  initializers: ReadonlyMap<string, Tensor>,
  fresh: (stem: string) => string,
): ReadonlyMap<string, PackedInitializer> {
  const packed = new Map<string, PackedInitializer>();
  for (const [name, tensor] of initializers) {
    const found =
      tensor.type === "int8" ? packInitializer(name, tensor, encodeTensor(name, tensor), fresh) : undefined;
    if (found !== undefined) packed.set(name, found);
  }
  const called = new Set([...packed.values()].flatMap(({ nodes }) => nodes.map(({ opType }) => opType)));
  const functions = [...called].map((op) => functionBytes(op) + NODE_BYTES);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  return sum([...packed.values()].map(({ saved }) => saved)) > sum(functions) ? packed : new Map();
}

/** Bytes of a node and of a name more. */
const NODE_BYTES = 64;

/** int8 of which the largest needs few bits, in so many, above the smallest that those hold. */
function packNumbers(
  name: string,
  values: Int8Array,
  fresh: (stem: string) => string,
): Pick<PackedInitializer, "nodes" | "initializers"> | undefined {
  const offset = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const width = Math.ceil(Math.log2(2 * offset + 1));
  const size = Math.ceil((values.length * width) / 8);
  if (width === 0 || size + NODE_BYTES >= values.length) return undefined;
  const bytes = new Uint8Array(size);
  values.forEach((value, at) => {
    for (let bit = 0; bit < width; bit++) {
      const place = at * width + bit;
      if (((value + offset) >> bit) & 1) bytes[place >> 3] = present(bytes[place >> 3]) | (1 << (place & 7));
    }
  });
  const stream = fresh(`${name}.b`);
  const unpack = create(NodeProtoSchema, {
    opType: NUMBERS,
    domain: PACKED_DOMAIN,
    input: [stream],
    output: [name],
    attribute: [
      integers("shape", [values.length, width]),
      integers(
        "weights",
        Array.from({ length: width }, (_, bit) => 2 ** bit),
      ),
      integer("offset", -offset),
    ],
  });
  return { nodes: [unpack], initializers: [tensorOf(stream, [size, 1], "uint8", bytes)] };
}
