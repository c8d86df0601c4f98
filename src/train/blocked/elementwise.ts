import { dims4, hasInput, inputOf, outputOf } from "../../graph/at.js";
import { firstOf, inputOrOmitted, inputsOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import { stepsOf } from "../../ops/composites/spread_out.js";
import { compositeInputs } from "../../ops/core/composite.js";
import { add as addTo, div, mul, reshape, sub } from "../../ops/core/emit.js";
import { expandComposite } from "../../ops/passes/expand_composites.js";
import type { Layouts } from "./layouts.js";

/** SpreadOut along height and width: every element is repeated, then all but the first are masked away. */
export function spreadOut(layouts: Layouts, node: Node): boolean {
  const [x] = compositeInputs(node, 1);
  const y = outputOf(node, 0);
  if (!layouts.isImage(x)) return false;
  const [batchStep, channelStep, rowStep, columnStep] = firstOf(stepsOf(node), 4);
  if (batchStep !== 1 || channelStep !== 1) return false;
  const { b, block } = layouts;
  const dims = layouts.blockedDims(y);
  const [, channels, height, width] = dims;
  const repeated = layouts.emit.repeat(layouts.blocked(x), [rowStep, columnStep]);
  const mask = layouts.once(`first ${channels} ${height} ${width} ${rowStep} ${columnStep}`, () => {
    const isFirst = (index: number): boolean => {
      const position = Math.floor(index / block) % (height * width);
      return Math.floor(position / width) % rowStep === 0 && position % columnStep === 0;
    };
    const data = Float32Array.from({ length: channels * height * width }, (_, index) =>
      isFirst(index) ? 1 : 0,
    );
    return b.floats("first_of_step", [1, channels, height, width], data);
  });
  layouts.setBlocked(y, mul(b, repeated, mask));
  return true;
}

/** Add of two images of one shape: the end of the convolution that computes one of them, if there is one. */
export function add(layouts: Layouts, node: Node): boolean {
  const [left, right] = inputsOf(node, 2);
  const y = outputOf(node, 0);
  if (!areAlike(layouts, [left, right])) return withNumber(layouts, node) || channelwise(layouts, node);
  for (const [own, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const conv = layouts.fusion.openConv(own);
    if (conv === undefined || hasInput(conv, 3)) continue;
    const [x, filter] = inputsOf(conv, 2);
    const addend = layouts.blocked(other);
    layouts.fusion.replaceLast(conv, { inputs: [x, filter, inputOrOmitted(conv, 2), addend] });
    layouts.setBlocked(y, layouts.blocked(own));
    return true;
  }
  return elementwise(layouts, node) || withNumber(layouts, node);
}

/** Mul of two images of one shape, or of an image with a number, or one per channel, or one per channel and image. */
export function multiply(layouts: Layouts, node: Node): boolean {
  return (
    elementwise(layouts, node) ||
    withNumber(layouts, node) ||
    channelwise(layouts, node) ||
    imagewise(layouts, node)
  );
}

/** Sub of two images of one shape, or of an image and a number. */
export function subtract(layouts: Layouts, node: Node): boolean {
  return elementwise(layouts, node) || withNumber(layouts, node);
}

/** How to write an operator of an image and a number. */
const numberForms: Readonly<Record<string, typeof mul>> = { Add: addTo, Div: div, Mul: mul, Sub: sub };

/** Add, Sub or Mul of an image and a number in either order, or Div of an image by a number. */
export function withNumber(layouts: Layouts, node: Node): boolean {
  const y = outputOf(node, 0);
  const isNumber = (name: string): boolean => layouts.dims(name).every((dim) => dim === 1);
  const image = node.inputs.find((name) => layouts.isBlocked(name) && !isNumber(name));
  const number = node.inputs.find((name) => name !== image && isNumber(name));
  const form = numberForms[node.op];
  if (image === undefined || number === undefined || form === undefined) return false;
  if (node.op === "Div" && node.inputs[0] !== image) return false;
  const [left, right] = inputsOf(node, 2);
  const operand = (name: string): string => (name === image ? layouts.blocked(name) : layouts.plain(name));
  layouts.setBlocked(y, form(layouts.b, operand(left), operand(right)));
  return true;
}

/** Mul of a blocked image [N, C, H, W] and [N, C, 1, 1]: each channel of each image is a group of its own. */
function imagewise(layouts: Layouts, node: Node): boolean {
  const y = outputOf(node, 0);
  const image = node.inputs.find((name) => layouts.isImage(name) && layouts.isBlocked(name));
  const gains = node.inputs.find((name) => name !== image);
  if (image === undefined || gains === undefined || !layouts.isImage(gains)) return false;
  const [batch, channels] = dims4(layouts.dims(image));
  if (layouts.dims(gains).join() !== [batch, channels, 1, 1].join()) return false;
  const { b } = layouts;
  const dims = layouts.blockedDims(image);
  const [, padded, height, width] = dims;
  const rows = reshape(b, layouts.blocked(image), [1, batch * padded, height, width]);
  const scaled = layouts.emit.scale(rows, reshape(b, layouts.blocked(gains), [batch * padded]));
  layouts.setBlocked(y, reshape(b, scaled, dims));
  return true;
}

/** An operator on images of one shape that maps zeros to zero: the same in either layout. */
function elementwise(layouts: Layouts, node: Node): boolean {
  const y = outputOf(node, 0);
  return areAlike(layouts, node.inputs) && apply(layouts, node, y);
}

/** Add or Mul of a blocked image and a vector over its channels, [1, C, 1, 1] or [C, 1, 1]. */
function channelwise(layouts: Layouts, node: Node): boolean {
  const y = outputOf(node, 0);
  const image = node.inputs.find((name) => layouts.isImage(name) && layouts.isBlocked(name));
  const vector = node.inputs.find((name) => name !== image);
  if (image === undefined || vector === undefined) return false;
  const channels = layouts.channels(image);
  const shape = layouts.dims(vector).join();
  if (shape !== `1,${channels},1,1` && shape !== `${channels},1,1`) return false;
  const padded = layouts.emit.pad(reshape(layouts.b, layouts.plain(vector), [channels]));
  const value = layouts.blocked(image);
  const ones = layouts.fill(channels, 1);
  layouts.setBlocked(
    y,
    node.op === "Mul" ? layouts.emit.scale(value, padded) : layouts.emit.scale(value, ones, { bias: padded }),
  );
  return true;
}

/** A composite of images of one shape whose standard form is elementwise, and finite at zero: that form. */
export function elementwiseComposite(layouts: Layouts, node: Node): boolean {
  if (!areAlike(layouts, node.inputs)) return false;
  const blocked = { ...node, inputs: node.inputs.map((name) => layouts.blocked(name)) };
  for (const [name, value] of expandComposite(layouts.b, blocked)) layouts.setBlocked(name, value);
  return true;
}

/** An operator of one image that is finite at zero: what it makes of the channels' padding, nothing reads. */
export function unary(layouts: Layouts, node: Node): boolean {
  const x = inputOf(node, 0);
  const y = outputOf(node, 0);
  return layouts.isBlocked(x) && apply(layouts, node, y);
}

function apply(layouts: Layouts, node: Node, y: string): boolean {
  const value = layouts.b.emit(
    node.op,
    node.inputs.map((name) => layouts.blocked(name)),
    { attributes: Object.fromEntries(node.attributes) },
  );
  layouts.setBlocked(y, value);
  return true;
}

/** Whether all values are images of one shape, one of them blocked already. */
function areAlike(layouts: Layouts, names: readonly string[]): boolean {
  const [first] = names;
  if (first === undefined || !names.every((name) => layouts.isImage(name))) return false;
  const shape = layouts.dims(first).join();
  return (
    names.every((name) => layouts.dims(name).join() === shape) &&
    names.some((name) => layouts.isBlocked(name))
  );
}
