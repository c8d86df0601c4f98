import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** What one decoded message weighs, in 64-bit integers: an object with its fields against one bigint. */
const INTEGERS_PER_MESSAGE = 16;

/** Deeper messages are not counted: the decoder refuses them. */
const DEEPEST = 100;

/**
 * Whether a protobuf message would hold more than `most` 64-bit integers in memory once decoded, a nested message
 * counted as 16. Found without decoding: one byte of a hostile file can become hundreds in memory, while other
 * numbers grow eightfold at most.
 * @throws Error if the bytes are not a protobuf message
 */
export function decodesToMoreThan(most: number, schema: DescMessage, bytes: Uint8Array): boolean {
  return integersLeft(most, schema, bytes, 0) < 0;
}

/** What is left of an allowance of integers behind a message; counting ends where nothing is left. */
function integersLeft(allowance: number, schema: DescMessage, bytes: Uint8Array, depth: number): number {
  const fields = fieldsOf(schema);
  const reader = new BinaryReader(bytes);
  let left = allowance;
  while (reader.pos < reader.len && left >= 0) {
    const [number, wireType] = reader.tag();
    const field = fields.get(number);
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      left -= 1;
      continue;
    }
    const content = reader.bytes();
    if (field?.message === undefined) left -= isIntegerList(field) ? packedLength(content) : 1;
    else {
      left -= INTEGERS_PER_MESSAGE;
      if (depth < DEEPEST) left = integersLeft(left, field.message, content, depth + 1);
    }
  }
  return left;
}

const fieldTables = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(schema: DescMessage): ReadonlyMap<number, DescField> {
  const known = fieldTables.get(schema);
  if (known !== undefined) return known;
  const fields = new Map(schema.fields.map((field) => [field.number, field]));
  fieldTables.set(schema, fields);
  return fields;
}

function isIntegerList(field: DescField | undefined): boolean {
  if (field?.fieldKind !== "list" || field.listKind !== "scalar") return false;
  return field.scalar === ScalarType.INT64 || field.scalar === ScalarType.UINT64;
}

/** Every number ends with a byte whose highest bit is clear. */
function packedLength(content: Uint8Array): number {
  let length = 0;
  for (const byte of content) if (byte < 0x80) length++;
  return length;
}
