import { dims4, inputOf, present } from "../../graph/at.js";
import { int, intAttribute, stringAttribute, text } from "../../graph/attributes.js";
import { firstOf, inputsOf } from "../../graph/operands.js";
import { int64Tensor } from "../../graph/tensor.js";
import type { Node, ValueType } from "../../graph/types.js";
import { laneWise } from "../channels/lanewise.js";
import { requiredInput } from "../core/arguments.js";
import type { NodeContext } from "../core/context.js";
import type { GradientContext, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { add, mul, reshape, slice, sub } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { unsupportedForm } from "../core/unsupported_form.js";
import { cubicWeights } from "../families/grid_weights.js";
import { zerosLike } from "../families/scatter_gradient.js";

/**
 * Maps x [N, C, H, W] sampled at the places of a grid [N, H', W', 2] of (x, y) in [-1, 1] -> [N, C, H', W'] (ONNX
 * GridSample, opset 16 and later; more axes from 20). The gradient of x puts dy where it was read; a grid that is
 * learned has none here.
 */
export const GridSample: OpDefinition = {
  type: "GridSample",
  cost: noProducts,
  shape: (context) => [sampledType(context)],
  // Outside the map stand zeros, so that a constant channel does not stay one.
  channels: laneWise(),
  gradient: (context) => [sampleGradient(context)],
  expand: (b, node) => [expandSample(b, node)],
};

function sampledType(context: NodeContext): ValueType {
  const { elementType, shape } = requiredInput(context, 0);
  const grid = requiredInput(context, 1).shape;
  if (shape === undefined || grid === undefined) return { elementType, shape: undefined };
  return { elementType, shape: [shape[0] ?? grid[0], shape[1], ...grid.slice(1, -1)] };
}

interface Axis {
  readonly size: number;
  /** Where the samples lie, in elements, [N, places]. */
  readonly at: string;
}

/** One element that each sample is made of: where along an axis, and how much of it. */
interface Tap {
  readonly index: string;
  readonly weight: string | undefined;
}

/** The elements that each sample is a weighted sum of: flat positions [N, places] (int64) and weights (none for 1). */
type FlatTap = Tap;

function tapsOf(b: Emitter, node: Node): readonly FlatTap[] {
  const grid = inputOf(node, 1);
  const { batch, height, width, rows, columns } = sizesOf(b, node);
  const axis = (which: number, size: number): Axis => {
    const part = slice(b, grid, [{ axis: 3, start: which, end: which + 1 }]);
    return { size, at: inElements(b, node, reshape(b, part, [batch, rows * columns]), size) };
  };
  const across = tapsAlong(b, node, axis(0, width));
  const down = tapsAlong(b, node, axis(1, height));
  return down.flatMap((y) =>
    across.map(
      (x): FlatTap => ({
        index: b.emit("Cast", [add(b, mul(b, y.index, b.scalar(width)), x.index)], {
          attributes: { to: int(7) },
        }),
        weight: product(b, y.weight, x.weight),
      }),
    ),
  );
}

interface Sizes {
  readonly batch: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Of the grid. */
  readonly rows: number;
  readonly columns: number;
}

/** @throws PenniError "unsupported" for other than two spatial axes */
function sizesOf(b: Emitter, node: Node): Sizes {
  const [dims, grid] = inputsOf(node, 2).map((name) => b.dims(name));
  if (dims?.length !== 4 || grid?.length !== 4) {
    throw unsupportedForm(node, "simpler one or gradient", "two spatial axes", `${present(dims).length - 2}`);
  }
  const [batch, channels, height, width] = dims4(dims);
  const [, rows, columns] = dims4(grid);
  return { batch, channels, height, width, rows, columns };
}

function product(b: Emitter, left: string | undefined, right: string | undefined): string | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return mul(b, left, right);
}

/** Places from -1 to 1 as positions between elements: -1 and 1 are the outer elements' centres, or their outer edges. */
function inElements(b: Emitter, node: Node, place: string, size: number): string {
  const fromZero = add(b, place, b.scalar(1));
  if (intAttribute(node, "align_corners") === 1) return mul(b, fromZero, b.scalar((size - 1) / 2));
  return mul(b, sub(b, mul(b, fromZero, b.scalar(size)), b.scalar(1)), b.scalar(0.5));
}

function tapsAlong(b: Emitter, node: Node, { size, at }: Axis): readonly Tap[] {
  const mode = stringAttribute(node, "mode") ?? "linear";
  if (mode === "nearest") return [inside(b, node, size, b.emit("Round", [at]), undefined)];
  const before = b.emit("Floor", [at]);
  const rest = sub(b, at, before);
  if (mode === "bilinear" || mode === "linear") {
    const after = add(b, before, b.scalar(1));
    return [inside(b, node, size, before, sub(b, b.scalar(1), rest)), inside(b, node, size, after, rest)];
  }
  if (mode === "bicubic" || mode === "cubic") {
    return cubicWeights(b, rest).map((weight, tap) =>
      inside(b, node, size, add(b, before, b.scalar(tap - 1)), weight),
    );
  }
  throw unsupportedForm(node, "simpler one or gradient", "nearest, linear or cubic", mode);
}

/** An element that may lie outside the map: another in its place, or no weight. */
function inside(b: Emitter, node: Node, size: number, index: string, weight: string | undefined): Tap {
  const bounded = (value: string): string => b.emit("Clip", [value, b.scalar(0), b.scalar(size - 1)]);
  const padding = stringAttribute(node, "padding_mode") ?? "zeros";
  if (padding === "border") return { index: bounded(index), weight };
  if (padding === "reflection") return { index: bounded(reflected(b, node, size, index)), weight };
  const near = bounded(index);
  const isInside = b.emit("Cast", [b.emit("Equal", [near, index])], { attributes: { to: int(1) } });
  return { index: near, weight: product(b, weight, isInside) };
}

/** Reflected at the outer elements' centres, or at their outer edges, as often as needed. */
function reflected(b: Emitter, node: Node, size: number, index: string): string {
  const edge = intAttribute(node, "align_corners") === 1 ? 0 : 0.5;
  const length = size - 1 + 2 * edge;
  if (length === 0) return mul(b, index, b.scalar(0));
  const distance = b.emit("Abs", [add(b, index, b.scalar(edge))]);
  const along = b.emit("Mod", [distance, b.scalar(2 * length)], { attributes: { fmod: int(1) } });
  const folded = b.emit("Min", [along, sub(b, b.scalar(2 * length), along)]);
  return sub(b, folded, b.scalar(edge));
}

/** Each image of a batch is written out by itself. */
const MOST_SAMPLES = 256;

function expandSample(b: Emitter, node: Node): string {
  const x = inputOf(node, 0);
  const { batch, channels, height, width, rows, columns } = sizesOf(b, node);
  if (batch > MOST_SAMPLES) {
    throw unsupportedForm(node, "simpler one", `a batch of at most ${MOST_SAMPLES}`, `${batch}`);
  }
  const taps = tapsOf(b, node);
  const flat = reshape(b, x, [batch, channels, height * width]);
  const samples = Array.from({ length: batch }, (_, sample) => {
    const of = (name: string): string => slice(b, name, [{ axis: 0, start: sample, end: sample + 1 }]);
    const map = of(flat);
    const terms = taps.map(({ index, weight }) => {
      const places = reshape(b, of(index), [rows * columns]);
      const taken = b.emit("Gather", [map, places], { attributes: { axis: int(2) } });
      return weight === undefined ? taken : mul(b, taken, reshape(b, of(weight), [1, 1, rows * columns]));
    });
    return terms.reduce((sum, term) => add(b, sum, term));
  });
  const [only] = firstOf(samples, 1);
  const all = samples.length === 1 ? only : b.emit("Concat", samples, { attributes: { axis: int(0) } });
  return reshape(b, all, [batch, channels, rows, columns]);
}

function sampleGradient(context: GradientContext): string | undefined {
  const { node, builder: b, needs } = context;
  const [dy] = context.outputGradients;
  const [x, grid] = node.inputs;
  if (dy === undefined || x === undefined || grid === undefined) return undefined;
  if (needs[1] === true) throw unsupportedForm(node, "gradient", "a grid that is not trained", "one that is");
  if (needs[0] !== true) return undefined;
  const dims = b.dims(x);
  const { batch, channels, height, width, rows, columns } = sizesOf(b, node);
  const places = [batch, 1, rows * columns];
  const everywhere = b.constant("every_channel", int64Tensor([3], [batch, channels, rows * columns]));
  const gradient = reshape(b, dy, [batch, channels, rows * columns]);
  const zeros = reshape(b, zerosLike(context, x), [batch, channels, height * width]);
  const total = tapsOf(b, node).reduce((sum, { index, weight }) => {
    const indices = b.emit("Expand", [reshape(b, index, places), everywhere]);
    const share = weight === undefined ? gradient : mul(b, gradient, reshape(b, weight, places));
    return b.emit("ScatterElements", [sum, indices, share], {
      attributes: { axis: int(2), reduction: text("add") },
    });
  }, zeros);
  return reshape(b, total, dims);
}
