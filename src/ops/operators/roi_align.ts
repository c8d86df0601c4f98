import { dims4 } from "../../graph/at.js";
import { floatAttributeOr, int, intAttributeOr, stringAttribute } from "../../graph/attributes.js";
import { firstOf, inputsOf } from "../../graph/operands.js";
import type { Node } from "../../graph/types.js";
import { laneWise } from "../channels/lanewise.js";
import { checkRank, requiredInput } from "../core/arguments.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts } from "../core/definition.js";
import { cast } from "../core/element_types.js";
import { add, div, mul, reduceMean, reshape, slice, sub, transpose } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { checkTable, unsupportedForm } from "../core/unsupported_form.js";

/** Maps [N, C, H, W] sampled inside boxes [R, 4] -> [R, C, output_height, output_width] (ONNX RoiAlign, opset 10 and later). */
export const RoiAlign: OpDefinition = {
  type: "RoiAlign",
  gradient: absent("no rule is written: what lies before it is not trained"),
  cost: noProducts,
  shape: (context) => {
    const { node } = context;
    checkRank(context, 0, 4);
    checkRank(context, 1, 2);
    const { elementType, shape } = requiredInput(context, 0);
    const boxes = requiredInput(context, 1).shape;
    return [{ elementType, shape: [boxes?.[0], shape?.[1], ...outputSize(node)] }];
  },
  channels: laneWise(),
  expand: (b, node) => [expandAlign(b, node)],
};

function outputSize(node: Node): readonly [height: number, width: number] {
  return [intAttributeOr(node, "output_height", 1), intAttributeOr(node, "output_width", 1)];
}

/** One axis of the map, and of the samples that are taken along it. */
interface Axis {
  readonly size: number;
  /** Bins of a box, and samples in each. */
  readonly bins: number;
  readonly samples: number;
  /** Where boxes begin and end along it: positions in `rois`. */
  readonly first: number;
  readonly last: number;
}

/** One of the two elements next to each sample, as positions along an axis [R, bins * samples], and its share. */
interface Tap {
  readonly index: string;
  readonly weight: string;
}

/** Each bin is the mean of samples at even distances, each of them between four elements of the map. */
function expandAlign(b: Emitter, node: Node): string {
  const [x, rois, images] = inputsOf(node, 3);
  const [batch, channels, height, width] = dims4(b.dims(x));
  const [boxes] = firstOf(b.dims(rois), 1);
  const samples = samplesOf(node);
  const [rows, columns] = outputSize(node);
  const down = tapsAlong(b, node, rois, { size: height, bins: rows, samples, first: 1, last: 3 });
  const across = tapsAlong(b, node, rois, { size: width, bins: columns, samples, first: 0, last: 2 });
  const places = boxes * rows * samples * columns * samples;
  checkTable(node, places);
  // Of all images of the batch, channel by channel.
  const maps = reshape(b, transpose(b, x, [1, 0, 2, 3]), [channels, batch * height * width]);
  const ofColumn = (name: string): string => reshape(b, name, [boxes, 1, columns * samples]);
  const ofRow = (name: string): string => reshape(b, name, [boxes, rows * samples, 1]);
  const start = mul(b, reshape(b, cast(b, images, "float32"), [boxes, 1, 1]), b.scalar(height * width));
  const terms = down.flatMap((y) =>
    across.map((x) => {
      const within = add(b, mul(b, ofRow(y.index), b.scalar(width)), ofColumn(x.index));
      const index = batch === 1 ? within : add(b, within, start);
      const flat = reshape(b, cast(b, index, "int64"), [places]);
      const taken = b.emit("Gather", [maps, flat], { attributes: { axis: int(1) } });
      return mul(b, taken, reshape(b, mul(b, ofRow(y.weight), ofColumn(x.weight)), [1, places]));
    }),
  );
  const sum = terms.reduce((total, term) => add(b, total, term));
  const apart = reshape(b, sum, [channels, boxes * rows, samples, columns, samples]);
  const means = reshape(b, reduceMean(b, apart, [2, 4], false), [channels, boxes, rows * columns]);
  return reshape(b, transpose(b, means, [1, 0, 2]), [boxes, channels, rows, columns]);
}

function samplesOf(node: Node): number {
  const mode = stringAttribute(node, "mode") ?? "avg";
  if (mode !== "avg") throw unsupportedForm(node, "simpler one", "the mode avg", mode);
  const samples = intAttributeOr(node, "sampling_ratio", 0);
  if (samples > 0) return samples;
  throw unsupportedForm(node, "simpler one", "a sampling_ratio of 1 or more", "as many as a box is large");
}

function tapsAlong(b: Emitter, node: Node, rois: string, axis: Axis): readonly Tap[] {
  const { size } = axis;
  const at = samplesAlong(b, node, rois, axis);
  // Samples that are farther outside than one element count as zero.
  const near = b.emit("Equal", [at, b.emit("Clip", [at, b.scalar(-1), b.scalar(size)])]);
  const isInside = cast(b, near, "float32");
  const bounded = b.emit("Clip", [at, b.scalar(0), b.scalar(size - 1)]);
  const before = b.emit("Floor", [bounded]);
  const rest = mul(b, sub(b, bounded, before), isInside);
  const after = b.emit("Min", [add(b, before, b.scalar(1)), b.scalar(size - 1)]);
  return [
    { index: before, weight: sub(b, isInside, rest) },
    { index: after, weight: rest },
  ];
}

/** Where samples lie, in elements of the map: [R, bins * samples]. */
function samplesAlong(b: Emitter, node: Node, rois: string, axis: Axis): string {
  const { bins, samples, first, last } = axis;
  checkTable(node, bins * samples);
  const mode =
    stringAttribute(node, "coordinate_transformation_mode") ??
    (b.opset < 16 ? "output_half_pixel" : "half_pixel");
  const isHalfPixel = mode === "half_pixel";
  const edge = (which: number): string => {
    const scaled = mul(
      b,
      slice(b, rois, [{ axis: 1, start: which, end: which + 1 }]),
      b.scalar(floatAttributeOr(node, "spatial_scale", 1)),
    );
    return isHalfPixel ? sub(b, scaled, b.scalar(0.5)) : scaled;
  };
  const start = edge(first);
  const length = sub(b, edge(last), start);
  const extent = isHalfPixel ? length : b.emit("Max", [length, b.scalar(1)]);
  const steps = Array.from({ length: bins * samples }, (_, at) => (at + 0.5) / samples);
  const positions = b.floats("roi_steps", [1, steps.length], steps);
  return add(b, start, mul(b, div(b, extent, b.scalar(bins)), positions));
}
