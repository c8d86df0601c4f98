import { at } from "../../graph/at.js";
import { slice, zeroPad } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";

/** Elements to add (negative: to remove) before and after each axis. */
export interface Margins {
  readonly begins: readonly number[];
  readonly ends: readonly number[];
}

/** Crops where a margin is negative, then pads with zeros where it is positive; emits only what is needed. */
export function padOrCrop(
  builder: Emitter,
  x: string,
  dims: readonly number[],
  { begins, ends }: Margins,
): string {
  const crops = dims.flatMap((dim, axis) => {
    const start = Math.max(0, -at(begins, axis));
    const end = dim + Math.min(0, at(ends, axis));
    return start === 0 && end === dim ? [] : [{ axis, start, end }];
  });
  const cropped = crops.length === 0 ? x : slice(builder, x, crops);
  const pads = [...begins, ...ends].map((margin) => Math.max(0, margin));
  return pads.every((margin) => margin === 0) ? cropped : zeroPad(builder, cropped, pads);
}
