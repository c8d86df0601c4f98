import { inputOf, outputOf } from "../../graph/at.js";
import { firstOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import type { Margins } from "../../ops/families/pad_or_crop.js";
import { padFill, padMargins, padMode } from "../../ops/operators/pad.js";
import { MOST_WASTE, waste } from "./convolution.js";
import type { Layouts } from "./layouts.js";

/** Pad with zeros (with negative pads: Slice). */
export function pad(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  if (!layouts.isBlocked(x)) return false;
  const context = layouts.context(node);
  if (padMode(node) !== "constant" || padFill(context) !== 0) return false;
  const margins = padMargins(context, 4);
  const value = margins === undefined ? undefined : withMargins(layouts, x, y, margins);
  if (value === undefined) return false;
  layouts.setBlocked(y, value);
  return true;
}

/**
 * y = x with elements added (0) or removed before and after channels, rows and columns. Undefined where the batch
 * changes, or y has so few channels that their padding outweighs them.
 */
export function withMargins(
  layouts: Layouts,
  x: string,
  y: string,
  { begins, ends }: Margins,
): string | undefined {
  const [batchBegin, channelBegin, top, left] = firstOf(begins, 4);
  const [batchEnd, channelEnd, bottom, right] = firstOf(ends, 4);
  const channels = layouts.channels(y);
  if (batchBegin !== 0 || batchEnd !== 0 || waste(layouts, channels) > MOST_WASTE) return undefined;
  const edges = [top, left, bottom, right].map((margin) => Math.max(-margin, 0));
  const inner = layouts.emit.withoutEdges(layouts.blocked(x), edges);
  const pads = [top, left, bottom, right].map((margin) => Math.max(margin, 0));
  if (channelBegin !== 0 || channelEnd !== 0)
    return layouts.emit.conv({
      x: inner,
      filter: shiftedChannels(layouts, x, y, channelBegin),
      kernel: [1, 1],
      pads,
      output: layouts.blockedDims(y),
    });
  const isPadded = pads.some((margin) => margin > 0);
  return isPadded ? layouts.emit.scale(inner, layouts.fill(channels, 1), { pads }) : inner;
}

/**
 * The filter of a 1x1 convolution whose output k is the input k - `shift` where there is one, else 0: blocks cannot be
 * cut or shifted by less than a block otherwise. Arranged as in `filters.ts`.
 */
function shiftedChannels(layouts: Layouts, x: string, y: string, shift: number): string {
  const { b, block } = layouts;
  const [inputs, outputs] = [layouts.channels(x), layouts.channels(y)];
  return layouts.once(`${inputs} channels to ${outputs} shifted by ${shift}`, () => {
    const [rows, columns] = [layouts.padded(outputs), layouts.padded(inputs)];
    const data = new Float32Array(rows * columns);
    for (let input = Math.max(0, -shift); input < Math.min(inputs, outputs - shift); input += 1) {
      const output = input + shift;
      const tile = Math.floor(output / block) * (columns / block) + Math.floor(input / block);
      data[(tile * block + (input % block)) * block + (output % block)] = 1;
    }
    return b.floats("shifted_channels", [rows, columns, 1, 1], data);
  });
}
