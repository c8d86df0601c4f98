import { toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { orDefault } from "../graph/at.js";
import { GraphProtoSchema, type ModelProto, ModelProtoSchema, TensorProtoSchema } from "./gen/onnx_pb.js";

/** Weights with fewer bytes are copied. */
const SMALLEST_PART_BYTES = 4096;
/** What stands for a weight while the message around it is put together. */
const PLACEHOLDER = new Uint8Array(1);

const graphField = ModelProtoSchema.field.graph.number;
const initializerField = GraphProtoSchema.field.initializer.number;
const rawDataField = TensorProtoSchema.field.rawData.number;

/**
 * The bytes of a model's message in parts, one after the other, in which large weights are no copies: a message is
 * copied as a whole for each message that it lies in, and weights lie in three. Takes the raw data out of `model`.
 */
export function messageParts(model: ModelProto): readonly Uint8Array[] {
  const initializers = orDefault(model.graph?.initializer, []);
  const large = initializers.map(({ rawData }) =>
    rawData.byteLength < SMALLEST_PART_BYTES ? undefined : rawData,
  );
  for (const [index, tensor] of initializers.entries())
    if (large[index] !== undefined) tensor.rawData = PLACEHOLDER;
  return withContents(toBinary(ModelProtoSchema, model), graphField, (graph) =>
    withContents(graph, initializerField, (tensor, index) => {
      const data = large[index];
      return data === undefined ? undefined : withContents(tensor, rawDataField, () => [data]);
    }),
  );
}

export function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

/**
 * A message in which fields of this number, which are bytes or messages, have other contents.
 * @param contents of the field that comes as number `index` of them, from 0; undefined to leave it as it is
 */
function withContents(
  message: Uint8Array,
  field: number,
  contents: (content: Uint8Array, index: number) => readonly Uint8Array[] | undefined,
): readonly Uint8Array[] {
  const reader = new BinaryReader(message);
  const parts: Uint8Array[] = [];
  let written = 0;
  let index = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, type] = reader.tag();
    if (number !== field || type !== WireType.LengthDelimited) {
      reader.skip(type, number);
      continue;
    }
    const others = contents(reader.bytes(), index);
    index += 1;
    if (others === undefined) continue;
    const head = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(sizeOf(others)).finish();
    parts.push(message.subarray(written, start), head, ...others);
    written = reader.pos;
  }
  return [...parts, message.subarray(written)];
}
