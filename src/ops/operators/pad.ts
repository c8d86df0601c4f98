import { at, hasInput, outputOf } from "../../graph/at.js";
import { floatAttributeOr, stringAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { shapeError } from "../../graph/shape_error.js";
import type { Dim, Node, ValueType } from "../../graph/types.js";
import { padChannels } from "../channels/structure.js";
import {
  forwardContext,
  fullyKnown,
  intsArgument,
  needsConstant,
  normalizeAxes,
  partlyKnown,
  requiredInput,
  unknownDims,
} from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { type AxisMap, adjointAlongAxes, axisMap } from "../families/axis_map.js";
import { type Margins, padOrCrop } from "../families/pad_or_crop.js";

/** Padding or, with negative pads, cropping (ONNX Pad; attributes up to opset 10, inputs from 11, axes from 18). */
export const Pad: OpDefinition = {
  type: "Pad",
  scalars: [2],
  cost: noProducts,
  onBlocks: true,
  elements: "padded",
  constants: { trained: [], settings: [2] },
  shape: (context) => [padType(context)],
  channels: padChannels({ margins: padMargins, mode: padMode, fill: padFill }),
  gradient: (context) => [padGradient(context)],
};

export type PadMode = "constant" | "reflect" | "edge" | "wrap";

/** The mode of a Pad node. */
export function padMode(node: Node): PadMode {
  const mode = stringAttribute(node, "mode") ?? "constant";
  if (mode === "constant" || mode === "reflect" || mode === "edge" || mode === "wrap") return mode;
  throw new PenniError("bad-model", "unknown padding mode", {
    node: node.name,
    op: node.op,
    expected: "constant, reflect, edge or wrap",
    found: mode,
  });
}

/** The value that Pad fills in; undefined where it is not a constant. */
export function padFill({ node, values }: NodeContext): number | undefined {
  if (!hasInput(node, 2)) return floatAttributeOr(node, "value", 0);
  const value = values[2]?.elements[0];
  return typeof value === "number" ? value : undefined;
}

interface PartialMargins {
  readonly begins: readonly Dim[];
  readonly ends: readonly Dim[];
}

function partialMargins(context: NodeContext, rank: number): PartialMargins | undefined {
  const { node } = context;
  const pads = partlyKnown(intsArgument(context, 1, "pads"));
  const axesArgument = intsArgument(context, 3, "axes");
  const stated =
    axesArgument.kind === "absent"
      ? Array.from({ length: rank }, (_, axis) => axis)
      : fullyKnown(axesArgument);
  if (pads === undefined || stated === undefined) return undefined;
  if (pads.length !== 2 * stated.length) {
    throw shapeError(node, "wrong number of pads", `${2 * stated.length}`, `${pads.length}`);
  }
  const begins: Dim[] = Array.from({ length: rank }, () => 0);
  const ends: Dim[] = [...begins];
  normalizeAxes(node, stated, rank).forEach((axis, index) => {
    begins[axis] = pads[index];
    ends[axis] = pads[index + stated.length];
  });
  return { begins, ends };
}

/** Elements added before and after every axis (negative: removed); undefined where they are not constant. */
export function padMargins(context: NodeContext, rank: number): Margins | undefined {
  const margins = partialMargins(context, rank);
  if (margins === undefined) return undefined;
  const isKnown = (dims: readonly Dim[]): dims is readonly number[] =>
    dims.every((dim) => typeof dim === "number");
  const { begins, ends } = margins;
  return isKnown(begins) && isKnown(ends) ? { begins, ends } : undefined;
}

function padType(context: NodeContext): ValueType {
  const { elementType, shape } = requiredInput(context, 0);
  if (shape === undefined) return { elementType, shape };
  const margins = partialMargins(context, shape.length);
  if (margins === undefined) return { elementType, shape: unknownDims(shape.length) };
  const padded = shape.map((dim, axis) =>
    paddedDim(context.node, dim, margins.begins[axis], margins.ends[axis]),
  );
  return { elementType, shape: padded };
}

function paddedDim(node: Node, dim: Dim, begin: Dim, end: Dim): Dim {
  if (begin === 0 && end === 0) return dim;
  if (typeof dim !== "number" || typeof begin !== "number" || typeof end !== "number") return undefined;
  const padded = dim + begin + end;
  if (padded >= 0) return padded;
  throw shapeError(node, "negative pads remove more than there is", `at most ${dim}`, `${-begin - end}`);
}

// Constant mode: dx = Pad(dy, -pads). In the others every element of y is an element of x, which collects dy from all
// places it was copied to.
function padGradient(context: GradientContext): string | undefined {
  const { node, builder } = context;
  const [dy] = context.outputGradients;
  const [x] = node.inputs;
  if (dy === undefined || x === undefined || context.needs[0] !== true) return undefined;
  const dims = context.dims(x);
  const margins = padMargins(forwardContext(context), dims.length);
  if (margins === undefined) throw needsConstant(node, "the pads");
  const mode = padMode(node);
  if (mode !== "constant") {
    return adjointAlongAxes(builder, node, dy, copyMaps(node, dims, margins, mode));
  }
  return padOrCrop(builder, dy, context.dims(outputOf(node, 0)), {
    begins: margins.begins.map((margin) => -margin),
    ends: margins.ends.map((margin) => -margin),
  });
}

/** Which element of an axis of the given size stands at a position that may lie before (negative) or behind it. */
type Source = (position: number, size: number) => number;

const sources: Readonly<Record<Exclude<PadMode, "constant">, Source>> = {
  edge: (position, size) => Math.min(Math.max(position, 0), size - 1),
  wrap: (position, size) => ((position % size) + size) % size,
  reflect: (position, size) => {
    const period = Math.max(2 * (size - 1), 1);
    const folded = ((position % period) + period) % period;
    return folded < size ? folded : period - folded;
  },
};

/** What padding with copies takes from where, axis by axis. */
export function copyMaps(
  node: Node,
  dims: readonly number[],
  { begins, ends }: Margins,
  mode: Exclude<PadMode, "constant">,
): readonly AxisMap[] {
  const source = sources[mode];
  return dims.flatMap((inputs, axis) => {
    const [begin, end] = [at(begins, axis), at(ends, axis)];
    if (begin === 0 && end === 0) return [];
    return [
      axisMap(node, axis, [inputs, inputs + begin + end], (position) => [
        { input: source(position - begin, inputs), weight: 1 },
      ]),
    ];
  });
}
