import { entryOf } from "../../graph/at.js";
import type { PointerType } from "../loops.js";
import type { Buffer, Program } from "../program.js";
import type { Interval } from "./intervals.js";

export const elementBytes: Readonly<Record<PointerType, number>> = { f32: 4, u16: 2, i32: 4 };

const readers: Readonly<Record<PointerType, (view: DataView, position: number) => number>> = {
  f32: (view, position) => view.getFloat32(position, true),
  u16: (view, position) => view.getUint16(position, true),
  i32: (view, position) => view.getInt32(position, true),
};

/** The tables of integers among a program's constants: between which numbers their entries lie. */
export class Tables {
  private readonly view: DataView;
  private readonly known = new Map<string, Interval>();

  constructor(private readonly program: Pick<Program, "weights" | "weightOffsets">) {
    const { buffer, byteOffset, byteLength } = program.weights;
    this.view = new DataView(buffer, byteOffset, byteLength);
  }

  /** Between which numbers the entries from number `first` to `last` lie, which must be in the table. */
  entries(buffer: Buffer, type: PointerType, first: number, last: number): Interval {
    const start = entryOf(this.program.weightOffsets, buffer.id);
    const read = (index: number): number => readers[type](this.view, start + index * elementBytes[type]);
    if (first === last) return { low: read(first), high: read(first) };
    const key = `${buffer.id} ${type} ${first} ${last}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    let [low, high] = [read(first), read(first)];
    for (let index = first + 1; index <= last; index++) {
      const entry = read(index);
      low = Math.min(low, entry);
      high = Math.max(high, entry);
    }
    this.known.set(key, { low, high });
    return { low, high };
  }
}
