import { at } from "../../graph/at.js";
import { floatAttributeOr, intAttribute, stringAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import type { Node } from "../../graph/types.js";
import { type AxisMap, type AxisTap, axisMap } from "./axis_map.js";

/** One axis of a Resize. */
interface ResizedAxis {
  readonly inputs: number;
  readonly outputs: number;
  /** As stated, or outputs / inputs where the node states sizes; float32. */
  readonly scale: number;
}

/** Where an element of the output lies among those of the input (ONNX Resize, `coordinate_transformation_mode`). */
type Coordinate = (output: number, axis: ResizedAxis) => number;

const halfPixel: Coordinate = (output, { scale }) => Math.fround(Math.fround((output + 0.5) / scale) - 0.5);

const coordinates: Readonly<Record<string, Coordinate>> = {
  half_pixel: halfPixel,
  half_pixel_symmetric: (output, axis) => {
    const { inputs, outputs, scale } = axis;
    const adjustment = Math.fround(outputs / Math.fround(scale * inputs));
    const offset = Math.fround((inputs / 2) * Math.fround(1 - adjustment));
    return Math.fround(Math.fround(offset + Math.fround((output + 0.5) / scale)) - 0.5);
  },
  pytorch_half_pixel: (output, axis) => (axis.outputs > 1 ? halfPixel(output, axis) : 0),
  align_corners: (output, { inputs, outputs }) =>
    outputs === 1 ? 0 : Math.fround(Math.fround(output * (inputs - 1)) / (outputs - 1)),
  // Up to opset 12; ONNX Runtime knows it in later ones too.
  tf_half_pixel_for_nn: (output, { scale }) => Math.fround((output + 0.5) / scale),
  asymmetric: (output, { scale }) => Math.fround(output / scale),
};

/** Rounding of mode "nearest" (`nearest_mode`). */
const roundings: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Which elements of the input an element at coordinate x is made of, before the borders are looked at. */
type Taps = (x: number, node: Node, inputs: number) => readonly AxisTap[];

const interpolations: Readonly<Record<string, Taps>> = {
  nearest: (x, node) => {
    const round = choose(roundings, node, "nearest_mode", "round_prefer_floor");
    return [{ input: round(x), weight: 1 }];
  },
  linear: (x, _, inputs) => {
    const inside = Math.min(Math.max(x, 0), inputs - 1);
    const first = Math.floor(inside);
    return [
      { input: first, weight: 1 - (inside - first) },
      { input: first + 1, weight: inside - first },
    ];
  },
  cubic: cubicTaps,
};

/** Keys' convolution kernel (1981) with `cubic_coeff_a`. */
function cubicTaps(x: number, node: Node, inputs: number): readonly AxisTap[] {
  const a = floatAttributeOr(node, "cubic_coeff_a", -0.75);
  const kernel = (distance: number): number => {
    const t = Math.abs(distance);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
  };
  const first = Math.floor(x) - 1;
  const taps = [0, 1, 2, 3].map((tap) => ({ input: first + tap, weight: kernel(x - first - tap) }));
  if (intAttribute(node, "exclude_outside") !== 1) return taps;
  const inside = taps.filter(({ input }) => input >= 0 && input < inputs);
  const sum = inside.reduce((total, { weight }) => total + weight, 0);
  return inside.map(({ input, weight }) => ({ input, weight: weight / sum }));
}

function choose<T>(table: Readonly<Record<string, T>>, node: Node, attribute: string, fallback: string): T {
  const stated = stringAttribute(node, attribute) ?? fallback;
  const found = Object.hasOwn(table, stated) ? table[stated] : undefined;
  if (found !== undefined) return found;
  throw unsupported(node, attribute, Object.keys(table).join(", "), stated);
}

function unsupported(node: Node, attribute: string, expected: string, found: string): PenniError {
  return new PenniError("unsupported", `this ${attribute} is not known`, {
    node: node.name,
    op: node.op,
    expected,
    found,
    advice: "Export the model with another resize mode, or leave the layers before it out of the compression",
  });
}

/**
 * The linear map along each axis that a Resize node changes (ONNX Resize, opset 11 and later): nearest, linear and cubic
 * interpolation; indices beyond the borders read the border.
 * @param scales as the node states them, or undefined where it states sizes
 * @throws PenniError "unsupported" for antialiasing, cropping and very long axes
 */
export function resizeMaps(
  node: Node,
  input: readonly number[],
  output: readonly number[],
  scales: readonly number[] | undefined,
): readonly AxisMap[] {
  if (intAttribute(node, "antialias") === 1) throw unsupported(node, "antialias", "0", "1");
  const coordinate = choose(coordinates, node, "coordinate_transformation_mode", "half_pixel");
  const taps = choose(interpolations, node, "mode", "nearest");
  return input.flatMap((inputs, axis) => {
    const outputs = at(output, axis);
    const scale = Math.fround(scales?.[axis] ?? outputs / inputs);
    if (outputs === inputs && scale === 1) return [];
    const clamp = (tap: AxisTap): AxisTap => ({
      ...tap,
      input: Math.min(Math.max(tap.input, 0), inputs - 1),
    });
    const rowOf = (position: number): readonly AxisTap[] =>
      taps(coordinate(position, { inputs, outputs, scale }), node, inputs).map(clamp);
    return [axisMap(node, axis, [inputs, outputs], rowOf)];
  });
}
