import type { Random } from "../../src/data/random.js";
import { absurdIntegers, chance, pick } from "./draw.js";

/** A field of an encoded message. */
interface Field {
  /** Where its tag begins, its length or value begins, its contents begin, and it ends. */
  readonly tag: number;
  readonly value: number;
  readonly contents: number;
  readonly end: number;
  readonly wireType: number;
}

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start; at < Math.min(bytes.length, start + 10); at += 1) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - start));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}

function fieldAt(bytes: Uint8Array, start: number, end: number): Field | undefined {
  const tag = readVarint(bytes, start);
  if (tag === undefined || tag.value >> 3 === 0) return undefined;
  const wireType = tag.value & 7;
  const extent = contentsAt(bytes, tag.end, wireType);
  if (extent === undefined || extent.end > end) return undefined;
  return { tag: start, value: tag.end, wireType, ...extent };
}

function contentsAt(
  bytes: Uint8Array,
  start: number,
  wireType: number,
): { contents: number; end: number } | undefined {
  if (wireType === 1 || wireType === 5) return { contents: start, end: start + (wireType === 1 ? 8 : 4) };
  const value = readVarint(bytes, start);
  if (value === undefined || (wireType !== 0 && wireType !== 2)) return undefined;
  return { contents: value.end, end: wireType === 0 ? value.end : value.end + value.value };
}

const DEEPEST = 12;

/** All fields of a message and of what looks like messages within; undefined where the bytes are none. */
function fieldsOf(bytes: Uint8Array, start: number, end: number, depth: number): Field[] | undefined {
  const fields: Field[] = [];
  for (let at = start; at < end; ) {
    const field = fieldAt(bytes, at, end);
    if (field === undefined) return undefined;
    fields.push(field);
    if (field.wireType === 2 && depth < DEEPEST) {
      for (const inner of fieldsOf(bytes, field.contents, field.end, depth + 1) ?? []) fields.push(inner);
    }
    at = field.end;
  }
  return fields;
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Uint8Array.from([...bytes, Number(rest)]);
}

function splice(bytes: Uint8Array, start: number, end: number, inserted: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length - (end - start) + inserted.length);
  result.set(bytes.subarray(0, start));
  result.set(inserted, start);
  result.set(bytes.subarray(end), start + inserted.length);
  return result;
}

type ByteMutation = (random: Random, bytes: Uint8Array) => Uint8Array;

function onField(
  accepts: (field: Field) => boolean,
  edit: (random: Random, bytes: Uint8Array, field: Field) => Uint8Array,
): ByteMutation {
  return (random, bytes) => {
    const fields = (fieldsOf(bytes, 0, bytes.length, 0) ?? []).filter(accepts);
    return fields.length === 0 ? flip(random, bytes) : edit(random, bytes, pick(random, fields));
  };
}

const flip: ByteMutation = (random, bytes) => {
  const changed = bytes.slice();
  for (let count = 1 + random.below(8); count > 0 && changed.length > 0; count -= 1) {
    const at = random.below(changed.length);
    changed[at] = chance(random, 0.5) ? random.below(256) : (changed[at] ?? 0) ^ (1 << random.below(8));
  }
  return changed;
};

const replaceVarint = (random: Random, bytes: Uint8Array, { value, contents }: Field): Uint8Array =>
  splice(bytes, value, contents, varint(pick(random, absurdIntegers)));

/** Damage to the bytes of a file, by name. */
export const byteMutations: Readonly<Record<string, ByteMutation>> = {
  flip,
  truncate: (random, bytes) => bytes.slice(0, random.below(bytes.length + 1)),
  remove: (random, bytes) => {
    const start = random.below(bytes.length + 1);
    return splice(bytes, start, Math.min(bytes.length, start + 1 + random.below(64)), new Uint8Array(0));
  },
  insert: (random, bytes) => {
    const at = random.below(bytes.length + 1);
    return splice(
      bytes,
      at,
      at,
      Uint8Array.from({ length: 1 + random.below(32) }, () => random.below(256)),
    );
  },
  append: (random, bytes) => splice(bytes, bytes.length, bytes.length, bytes.slice(0, random.below(4096))),
  length: onField(({ wireType }) => wireType === 2, replaceVarint),
  varint: onField(({ wireType }) => wireType === 0, replaceVarint),
  endlessVarint: onField(
    ({ wireType }) => wireType !== 1 && wireType !== 5,
    (_random, bytes, { value, contents }) => splice(bytes, value, contents, new Uint8Array(11).fill(0xff)),
  ),
  tag: onField(
    () => true,
    (random, bytes, { tag }) => bytes.with(tag, random.below(256)),
  ),
  repeatField: onField(
    ({ tag, end }) => end - tag < 20_000,
    (random, bytes, { tag, end }) => {
      const copies = 1 + random.below(200);
      const field = bytes.subarray(tag, end);
      const repeated = new Uint8Array(copies * field.length);
      for (let copy = 0; copy < copies; copy += 1) repeated.set(field, copy * field.length);
      return splice(bytes, end, end, repeated);
    },
  ),
  removeField: onField(
    () => true,
    (_random, bytes, { tag, end }) => splice(bytes, tag, end, new Uint8Array(0)),
  ),
  contents: onField(
    ({ wireType, contents, end }) => wireType === 2 && end > contents && end - contents < 4096,
    (random, bytes, { contents, end }) =>
      bytes.with(contents + random.below(end - contents), random.below(256)),
  ),
};
