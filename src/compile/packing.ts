import { countOf, entryOf, orDefault, present } from "../graph/at.js";
import { float16ToFloat32, float32ToFloat16 } from "../graph/float16.js";
import { float32Data, float32Tensor } from "../graph/tensor.js";
import { exactScales } from "../ops/families/weight_grid.js";
import type { PointerType } from "./loops.js";
import type { Location, Program, ProgramConstant, WeightLayout } from "./program.js";
import { ByteWriter } from "./wasm/bytes.js";

// A program's weights in fewer bytes, to be expanded once before it runs: record by record in the order of its
// constants, to the bit. A record is its kind and some integers (unsigned LEB128), then bytes; whatever it makes begins
// at a multiple of `WEIGHT_ALIGNMENT`. Numbers of more than a byte are little-endian. Records stand behind each other;
// behind the last of them the int8 of all, then the gaps and bits of all: bytes of one kind beside each other are
// compressed better.

/** Kinds of records, with the integers that follow. `n` is how many outputs there are, else elements or bytes. */
export const packedKinds = {
  /** n bytes, of how many an element has; as they are. */
  raw: 0,
  /** n float16. */
  halves: 1,
  /** n, weights of each, outputs in a block; n scales; one int8 for each weight, in the order of `WeightLayout`. */
  blocks: 2,
  /** n, where the counts are, bytes of each; n scales; one int8 for each weight. */
  runs: 3,
  /**
   * n, where the counts are, bytes of each, bytes of a step, how many taps, a plane's size; the taps, 4 bytes each; for
   * each step how many positions lie between, 255 and more as a byte of 255 and the rest.
   */
  gaps: 4,
  /**
   * n, where the counts are, bytes of each, positions of an output, how many of them a group has, then as gaps from the
   * bytes of a step on; one bit for each position, lowest first: those of the first in each group, output by output, then
   * those of the second. The counts are what has been found, and are written.
   */
  bits: 5,
  /** n bytes that another record writes. */
  left: 6,
} as const;

type Kind = keyof typeof packedKinds;

export interface PackedWeights {
  /** Records, int8, gaps and bits. */
  readonly bytes: Uint8Array;
  /** Where the int8 begin, and where the gaps and bits do. */
  readonly levels: number;
  readonly places: number;
}

/** @returns undefined where packed weights are not smaller */
export function packWeights(program: Program): PackedWeights | undefined {
  const { weights, constants } = program;
  if (constants === undefined) return undefined;
  const parts = partNames.map(() => new ByteWriter());
  const packer = new Packer(program, constants);
  const cheapest = constants.map((constant) => {
    return present(packer.forms(constant).sort((a, b) => a.cost - b.cost)[0]);
  });
  const found = packer.countsFound(constants, cheapest);
  for (const [at, { offset, size }] of constants.entries()) {
    const form = found.has(offset) ? formOf(record("left", size)) : present(cheapest[at]);
    for (const [index, name] of partNames.entries()) parts[index]?.bytes(form[name]);
  }
  const whole = new ByteWriter();
  const [levels, places] = parts.map((part) => whole.bytes(part.view()).length);
  if (levels === undefined || places === undefined || whole.length >= weights.length) return undefined;
  return { bytes: whole.view().slice(), levels, places };
}

const partNames = ["record", "levels", "places"] as const;

interface Form extends Readonly<Record<(typeof partNames)[number], Uint8Array>> {
  /** Bytes, or what is left of them when they are compressed further, where forms differ in that. */
  readonly cost: number;
  /** Whether its record also writes how many steps each output has. */
  readonly givesCounts: boolean;
}

/** Begins a record. */
const record = (kind: Kind, ...integers: readonly number[]): ByteWriter =>
  integers.reduce((writer, value) => writer.unsigned(value), new ByteWriter().byte(packedKinds[kind]));

const nothing = new Uint8Array(0);

function formOf(
  writer: ByteWriter,
  { levels = nothing, places = nothing }: Partial<Pick<Form, "levels" | "places">> = {},
): Form {
  const bytes = writer.view().slice();
  const cost = bytes.length + levels.length + places.length;
  return { record: bytes, levels, places, cost, givesCounts: false };
}

class Packer {
  private readonly view: DataView;
  private readonly byOffset: ReadonlyMap<number, ProgramConstant>;

  constructor(
    private readonly program: Program,
    constants: readonly ProgramConstant[],
  ) {
    const { weights } = program;
    this.view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
    this.byOffset = new Map(constants.map((constant) => [constant.offset, constant]));
  }

  /** All forms in which a constant can be kept. */
  forms(constant: ProgramConstant): Form[] {
    const { offset, size, type, layout } = constant;
    const raw = formOf(
      record("raw", size, type === "u16" ? 2 : 4).bytes(this.program.weights.subarray(offset, offset + size)),
    );
    const elements = this.elements(constant);
    const others = type === "f32" ? this.ofNumbers(elements, layout) : this.ofSteps(elements, type, layout);
    return [raw, ...others.filter((form) => form !== undefined)];
  }

  /** Offsets of tables of counts that need not be kept: whoever expands steps finds them, before anybody reads them. */
  countsFound(constants: readonly ProgramConstant[], forms: readonly Form[]): ReadonlySet<number> {
    const found = new Set<number>();
    const needed = new Set<number>();
    for (const [at, { layout }] of constants.entries()) {
      if (layout === undefined || layout.kind === "blocks") continue;
      const { offset } = this.countsAt(layout.counts).table;
      if (forms[at]?.givesCounts === true) found.add(offset);
      else if (layout.kind === "steps" || !found.has(offset)) needed.add(offset);
    }
    for (const { layout, offset } of constants) if (layout !== undefined) needed.add(offset);
    return new Set([...found].filter((offset) => !needed.has(offset)));
  }

  // Here and below: typed arrays are mapped several times as fast as they are made of a function.
  private elements({ offset, size, type }: ProgramConstant): Float32Array | Float64Array {
    const { view } = this;
    if (type === "f32")
      return new Float32Array(size / 4).map((_, at) => view.getFloat32(offset + 4 * at, true));
    const bytes = type === "u16" ? 2 : 4;
    return new Float64Array(size / bytes).map((_, at) =>
      type === "u16" ? view.getUint16(offset + 2 * at, true) : view.getInt32(offset + 4 * at, true),
    );
  }

  private ofNumbers(values: ArrayLike<number>, layout: WeightLayout | undefined): (Form | undefined)[] {
    const numbers = Float32Array.from(values);
    if (numbers.length === 0 || numbers.some((value) => Object.is(value, -0) || !Number.isFinite(value)))
      return [];
    return [halvesOf(numbers), this.grid(numbers, layout)];
  }

  /** As int8, where each output's weights are multiples of a number. */
  private grid(values: Float32Array, layout: WeightLayout | undefined): Form | undefined {
    if (layout?.kind === "runs") {
      const { table, counts } = this.countsAt(layout.counts);
      let end = 0;
      const ends = counts.map((count) => (end += count));
      if (ends.at(-1) !== values.length) return undefined;
      const scales = exactScales(counts.length, (output) =>
        values.subarray(orDefault(ends[output - 1], 0), ends[output]),
      );
      if (scales === undefined) return undefined;
      let output = 0;
      const levels = levelsOf(values, scales, (at) => {
        while (at >= present(ends[output])) output += 1;
        return output;
      });
      const writer = record("runs", counts.length, table.offset, tableBytes(table));
      return formOf(withScales(writer, scales), { levels });
    }
    const { outputs, block } = layout?.kind === "blocks" ? layout : { outputs: 1, block: 1 };
    const each = values.length / outputs;
    if (!Number.isInteger(each) || each === 0) return undefined;
    const place = placesInBlocks(outputs, block, each);
    const scales = exactScales(outputs, (output) =>
      new Float32Array(each).map((_, at) => present(values[place(output, at)])),
    );
    if (scales === undefined) return undefined;
    const levels = levelsOf(values, scales, outputsInBlocks(outputs, block, each));
    return formOf(withScales(record("blocks", outputs, each, block), scales), { levels });
  }

  private ofSteps(
    steps: ArrayLike<number>,
    type: PointerType,
    layout: WeightLayout | undefined,
  ): (Form | undefined)[] {
    if (layout?.kind !== "steps" || steps.length === 0) return [];
    const { inputs, plane, maps } = layout;
    const taps = layout.taps.toSorted((a, b) => a - b);
    const { table, counts } = this.countsAt(layout.counts);
    const rows = rowsOf(steps, counts, { taps, plane, inputs });
    if (rows === undefined) return [];
    const stepBytes = type === "u16" ? 2 : 4;
    const begin = (kind: Kind, ...integers: readonly number[]): ByteWriter => {
      const head = [counts.length, table.offset, tableBytes(table), ...integers];
      const writer = record(kind, ...head, stepBytes, taps.length, plane);
      for (const tap of taps) writer.bytes([tap, tap >> 8, tap >> 16, tap >> 24]);
      return writer;
    };
    const gaps = formOf(begin("gaps"), { places: gapsOf(rows) });
    const group = maps * taps.length;
    const bits = formOf(begin("bits", inputs * taps.length, group), {
      places: bitsOf(rows, inputs * taps.length, group),
    });
    return [
      { ...gaps, cost: gaps.record.length + compressedSize(gaps.places) },
      { ...bits, cost: bits.record.length + compressedSize(bits.places), givesCounts: true },
    ];
  }

  private countsAt({ buffer }: Location): {
    readonly table: ProgramConstant;
    readonly counts: readonly number[];
  } {
    const table = entryOf(this.byOffset, entryOf(this.program.weightOffsets, buffer.id));
    return { table, counts: Array.from(this.elements(table)) };
  }
}

const tableBytes = ({ type }: ProgramConstant): number => (type === "u16" ? 2 : 4);

function halvesOf(values: Float32Array): Form | undefined {
  const bytes = exactHalves(values);
  return bytes && formOf(record("halves", values.length).bytes(bytes));
}

/** Whether float16 holds all of some numbers as they are. */
export const areHalves = (values: Float32Array): boolean => exactHalves(values) !== undefined;

function exactHalves(values: Float32Array): Uint8Array | undefined {
  const halves = float32ToFloat16(float32Tensor([values.length], values));
  if (halves === undefined) return undefined;
  const back = float32Data(float16ToFloat32(halves));
  return values.every((value, at) => value === back[at]) ? halves.bytes : undefined;
}

function withScales(writer: ByteWriter, scales: Float32Array): ByteWriter {
  for (const scale of scales) writer.float32(scale);
  return writer;
}

const levelsOf = (values: Float32Array, scales: Float32Array, outputOf: (at: number) => number): Uint8Array =>
  new Uint8Array(values.length).map((_, at) =>
    Math.round(present(values[at]) / present(scales[outputOf(at)])),
  );

/** Where a weight of an output stands. */
function placesInBlocks(
  outputs: number,
  block: number,
  each: number,
): (output: number, at: number) => number {
  return (output, at) => {
    const first = output - (output % block);
    const width = Math.min(block, outputs - first);
    return first * each + at * width + output - first;
  };
}

/** Whose weight stands at a place. */
function outputsInBlocks(outputs: number, block: number, each: number): (at: number) => number {
  return (at) => {
    const first = Math.floor(at / (block * each)) * block;
    const width = Math.min(block, outputs - first);
    return first + ((at - first * each) % width);
  };
}

/** The positions of each output's steps as numbers from 0 on; undefined where a step does not lead to a tap. */
function rowsOf(
  steps: ArrayLike<number>,
  counts: readonly number[],
  {
    taps,
    plane,
    inputs,
  }: { readonly taps: readonly number[]; readonly plane: number; readonly inputs: number },
): readonly (readonly number[])[] | undefined {
  const rank = new Map(taps.map((tap, at) => [tap, at]));
  const least = present(taps[0]);
  if (least < 0 || present(taps.at(-1)) - least >= plane || rank.size !== taps.length) return undefined;
  const rows: number[][] = [];
  let next = 0;
  for (const count of counts) {
    const row: number[] = [];
    let position = 0;
    for (let i = 0; i < count; i++) {
      position += orDefault(steps[next++], Number.NaN);
      const input = Math.floor((position - least) / plane);
      const tap = rank.get(position - input * plane);
      const place = tap === undefined ? -1 : input * taps.length + tap;
      if (tap === undefined || input >= inputs || place <= orDefault(row.at(-1), -1)) return undefined;
      row.push(place);
    }
    rows.push(row);
  }
  return next === steps.length ? rows : undefined;
}

const MOST_GAP = 255;

function gapsOf(rows: readonly (readonly number[])[]): Uint8Array {
  const gaps = rows.flatMap((row) =>
    row.flatMap((place, at) => {
      const gap = place - (at === 0 ? -1 : present(row[at - 1])) - 1;
      const whole = Math.floor(gap / MOST_GAP);
      return [...new Array<number>(whole).fill(MOST_GAP), gap - whole * MOST_GAP];
    }),
  );
  return Uint8Array.from(gaps);
}

/** @param row positions of an output @param group of them that begin anew with each input */
function bitsOf(rows: readonly (readonly number[])[], row: number, group: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil((rows.length * row) / 8));
  const each = row / group;
  rows.forEach((places, output) => {
    for (const place of places) {
      const at = ((place % group) * rows.length + output) * each + Math.floor(place / group);
      bits[at >> 3] = present(bits[at >> 3]) | (1 << (at & 7));
    }
  });
  return bits;
}

/** What compression makes of bytes, as gzip's codes do it: not more than they are. */
function compressedSize(bytes: Uint8Array): number {
  const counts = new Map<number, number>();
  for (const byte of bytes) counts.set(byte, countOf(counts, byte) + 1);
  let bits = 0;
  for (const count of counts.values()) bits += count * Math.max(1, Math.log2(bytes.length / count));
  return Math.min(bytes.length, (CODE_LOSS * bits) / 8);
}

/** Codes of whole bits, and the tables that say what they are, take that much more than is needed. */
const CODE_LOSS = 1.2;
