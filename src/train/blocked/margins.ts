import { float32Data } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { reshape, slice } from "../../ops/emit.js";
import { padMargins, padMode } from "../../ops/pad.js";
import type { Margins } from "../../ops/pad_or_crop.js";
import { MOST_WASTE, waste } from "./convolution.js";
import type { Layouts } from "./layouts.js";

/** Pad with zeros (with negative pads: Slice). */
export function pad(layouts: Layouts, node: Node): boolean {
  const [x = "", , fill = ""] = node.inputs;
  const [y = ""] = node.outputs;
  if (!layouts.isBlocked(x) || padMode(node) !== "constant" || !isZero(layouts, fill)) return false;
  const margins = padMargins(layouts.context(node), 4);
  const value = margins === undefined ? undefined : withMargins(layouts, x, y, margins);
  if (value === undefined) return false;
  layouts.setBlocked(y, value);
  return true;
}

/** Whether an optional input is absent or the constant 0. */
function isZero(layouts: Layouts, name: string): boolean {
  if (name === "") return true;
  const tensor = layouts.b.constantTensor(name);
  return tensor !== undefined && float32Data(tensor).every((value) => value === 0);
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
  const [batchBegin, channelBegin = 0, top = 0, left = 0] = begins;
  const [batchEnd, channelEnd = 0, bottom = 0, right = 0] = ends;
  const [, channels = 1] = layouts.dims(y);
  if (batchBegin !== 0 || batchEnd !== 0 || waste(layouts, channels) > MOST_WASTE) return undefined;
  const inner = withoutEdges(layouts, layouts.blocked(x), [top, left, bottom, right]);
  const pads = [top, left, bottom, right].map((margin) => Math.max(margin, 0));
  if (channelBegin !== 0 || channelEnd !== 0)
    return layouts.conv({
      x: inner,
      filter: shiftedChannels(layouts, x, y, channelBegin),
      kernel: [1, 1],
      pads,
      output: layouts.blockedDims(y),
    });
  const isPadded = pads.some((margin) => margin > 0);
  return isPadded ? layouts.scale(inner, layouts.fill(channels, 1), { pads }) : inner;
}

/** A blocked image without the rows and columns of negative margins. */
function withoutEdges(layouts: Layouts, image: string, margins: readonly number[]): string {
  const { b, block } = layouts;
  const [batch = 1, channels = 1, height = 1, width = 1] = b.dims(image);
  const [top = 0, left = 0, bottom = 0, right = 0] = margins.map((margin) => Math.max(-margin, 0));
  if (top + left + bottom + right === 0) return image;
  const rows = { axis: 1, start: top, end: height - bottom };
  const columns = { axis: 2, start: left, end: width - right };
  const blocks = reshape(b, image, [(batch * channels) / block, height, width, block]);
  const size = [rows, columns].map(({ start, end }) => end - start);
  return reshape(b, slice(b, blocks, [rows, columns]), [batch, channels, ...size]);
}

/**
 * The filter of a 1x1 convolution whose output k is the input k - `shift` where there is one, else 0: blocks cannot be
 * cut or shifted by less than a block otherwise. Arranged as in `filters.ts`.
 */
function shiftedChannels(layouts: Layouts, x: string, y: string, shift: number): string {
  const { b, block } = layouts;
  const [, inputs = 1] = layouts.dims(x);
  const [, outputs = 1] = layouts.dims(y);
  return layouts.once(`${inputs} channels to ${outputs} shifted by ${shift}`, () => {
    const dims = [layouts.padded(outputs), layouts.padded(inputs), 1, 1];
    const [rows = 1, columns = 1] = dims;
    const data = new Float32Array(rows * columns);
    for (let input = Math.max(0, -shift); input < Math.min(inputs, outputs - shift); input += 1) {
      const output = input + shift;
      const tile = Math.floor(output / block) * (columns / block) + Math.floor(input / block);
      data[(tile * block + (input % block)) * block + (output % block)] = 1;
    }
    return b.floats("shifted_channels", dims, data);
  });
}
