import { inputOf } from "../../graph/at.js";
import {
  floatAttribute,
  floatAttributeOr,
  floatsAttribute,
  int,
  intAttribute,
  intAttributeOr,
  intsAttribute,
  stringAttribute,
  text,
} from "../../graph/attributes.js";
import { type ErrorDetails, PenniError } from "../../graph/errors.js";
import { inputsOf, outputOrOmitted } from "../../graph/operands.js";
import { describeShape } from "../../graph/shape_error.js";
import { float32Tensor, int64Tensor, numericTensor } from "../../graph/tensor.js";
import type { Attribute, Attributes, Node, Tensor, ValueType } from "../../graph/types.js";
import { normalizeAxis, optionalInput } from "../core/arguments.js";
import type { KnownValue } from "../core/context.js";

/** What a rule may ask of the model in its old form, and make for the new one. */
export interface UpgradeContext {
  /** Version of the model's standard operator set, 7 to 12. */
  readonly opset: number;
  freshName(stem: string): string;
  type(name: string): ValueType | undefined;
  /** Small constants, as far as they are known before the model runs. */
  value(name: string): KnownValue | undefined;
  /** Whether a node or the graph's outputs read a value. */
  isRead(name: string): boolean;
  /** Adds a constant and returns its name. */
  constant(stem: string, tensor: Tensor): string;
}

export interface UpgradeRule {
  /** The version that changed the operator's form: the rule is for models of an earlier one. */
  readonly changedIn: number;
  /** The nodes of operator set 13 that compute the same outputs. */
  readonly rewrite: (node: Node, context: UpgradeContext) => readonly Node[];
}

/** Every standard operator whose form or meaning changed between versions 7 and 13 (ONNX Changelog). */
export const upgradeRules: ReadonlyMap<string, UpgradeRule> = new Map<string, UpgradeRule>([
  ["BatchNormalization", { changedIn: 9, rewrite: dropSpatial }],
  ["Clip", { changedIn: 11, rewrite: boundsToInputs }],
  ["Dropout", { changedIn: 12, rewrite: ratioToInput }],
  ["Hardmax", { changedIn: 13, rewrite: alongOneAxis }],
  ["LogSoftmax", { changedIn: 13, rewrite: alongOneAxis }],
  ["Pad", { changedIn: 11, rewrite: padsToInputs }],
  ["ReduceSum", { changedIn: 13, rewrite: intsToInput("axes") }],
  ["Resize", { changedIn: 13, rewrite: upgradeResize }],
  ["Scatter", { changedIn: 11, rewrite: (node) => [{ ...node, op: "ScatterElements" }] }],
  ["Slice", { changedIn: 10, rewrite: rangesToInputs }],
  ["Softmax", { changedIn: 13, rewrite: alongOneAxis }],
  ["Split", { changedIn: 13, rewrite: intsToInput("split") }],
  ["Squeeze", { changedIn: 13, rewrite: intsToInput("axes") }],
  ["TopK", { changedIn: 10, rewrite: countToInput }],
  ["Unsqueeze", { changedIn: 13, rewrite: intsToInput("axes") }],
  ["Upsample", { changedIn: 10, rewrite: upsampleToResize }],
]);

const REEXPORT = "Export the model with opset 13 or later";

function cannotUpgrade(node: Node, problem: string, details: ErrorDetails = {}): PenniError {
  return new PenniError("unsupported", problem, {
    node: node.name,
    op: node.op,
    advice: REEXPORT,
    ...details,
  });
}

function missing(node: Node, attribute: string): PenniError {
  return new PenniError("bad-model", `attribute "${attribute}" is missing`, {
    node: node.name,
    op: node.op,
    advice: REEXPORT,
  });
}

function without(node: Node, ...names: readonly string[]): Attributes {
  return new Map([...node.attributes].filter(([name]) => !names.includes(name)));
}

function withAttributes(node: Node, entries: Readonly<Record<string, Attribute>>): Node {
  return { ...node, attributes: new Map([...node.attributes, ...Object.entries(entries)]) };
}

function intsConstant(
  node: Node,
  attribute: string,
  values: readonly number[],
  { constant }: UpgradeContext,
): string {
  return constant(`${outputOrOmitted(node, 0)}_${attribute}`, int64Tensor([values.length], values));
}

/** A list of integers becomes input 1. */
function intsToInput(attribute: string): UpgradeRule["rewrite"] {
  return (node, context) => {
    const values = intsAttribute(node, attribute);
    if (values === undefined) return [node];
    const x = inputOf(node, 0);
    const inputs = [x, intsConstant(node, attribute, values, context)];
    return [{ ...node, inputs, attributes: without(node, attribute) }];
  };
}

function rangesToInputs(node: Node, context: UpgradeContext): readonly Node[] {
  const x = inputOf(node, 0);
  const inputs = [x];
  for (const attribute of ["starts", "ends", "axes"]) {
    const values = intsAttribute(node, attribute);
    if (values !== undefined) inputs.push(intsConstant(node, attribute, values, context));
    else if (attribute !== "axes") throw missing(node, attribute);
  }
  return [{ ...node, inputs, attributes: without(node, "starts", "ends", "axes") }];
}

function countToInput(node: Node, context: UpgradeContext): readonly Node[] {
  const x = inputOf(node, 0);
  const k = intAttribute(node, "k");
  if (k === undefined) throw missing(node, "k");
  return [{ ...node, inputs: [x, intsConstant(node, "k", [k], context)], attributes: without(node, "k") }];
}

/** A number as a scalar of the type of the node's first input. */
function scalarLikeInput(node: Node, attribute: string, value: number, context: UpgradeContext): string {
  const type = context.type(inputOf(node, 0))?.elementType;
  const tensor = type === undefined ? undefined : numericTensor(type, [], [value]);
  if (tensor === undefined) {
    throw cannotUpgrade(node, `"${attribute}" cannot be written as a constant of the input's type`, {
      expected: "float32 or float64",
      found: type ?? "an unknown type",
    });
  }
  return context.constant(`${outputOrOmitted(node, 0)}_${attribute}`, tensor);
}

function boundsToInputs(node: Node, context: UpgradeContext): readonly Node[] {
  const x = inputOf(node, 0);
  const bounds = ["min", "max"].map((attribute) => {
    const bound = floatAttribute(node, attribute);
    return bound === undefined ? "" : scalarLikeInput(node, attribute, bound, context);
  });
  return [{ ...node, inputs: [x, ...bounds], attributes: without(node, "min", "max") }];
}

function padsToInputs(node: Node, context: UpgradeContext): readonly Node[] {
  const x = inputOf(node, 0);
  const pads = intsAttribute(node, "pads");
  const value = floatAttributeOr(node, "value", 0);
  if (pads === undefined) throw missing(node, "pads");
  const inputs = [x, intsConstant(node, "pads", pads, context)];
  if (!Object.is(value, 0)) inputs.push(scalarLikeInput(node, "value", value, context));
  return [{ ...node, inputs, attributes: without(node, "pads", "value") }];
}

function dropSpatial(node: Node): readonly Node[] {
  if (intAttributeOr(node, "spatial", 1) === 1) return [{ ...node, attributes: without(node, "spatial") }];
  throw cannotUpgrade(node, "normalization per element instead of per channel is not supported", {
    expected: "spatial = 1",
    found: "spatial = 0",
    advice: "Replace it by normalization per channel",
  });
}

/** Up to version 11 Dropout is always in inference form; the ratio is for who trains the network again. */
function ratioToInput(node: Node, context: UpgradeContext): readonly Node[] {
  const mask = outputOrOmitted(node, 1);
  // The mask was a number and all zero, and became a truth value and all true.
  if (mask !== "" && context.isRead(mask))
    throw cannotUpgrade(node, `the mask "${mask}" has another meaning now`);
  const ratio = floatAttribute(node, "ratio");
  const x = inputOf(node, 0);
  const inputs = ratio === undefined ? [x] : [x, context.constant("ratio", float32Tensor([], [ratio]))];
  return [{ ...node, inputs, outputs: [outputOrOmitted(node, 0)], attributes: without(node, "ratio") }];
}

/**
 * Up to version 12 these operators worked over all elements from `axis` (default 1) on, as if the input were a
 * matrix; from 13 on along one axis only.
 */
function alongOneAxis(node: Node, { type, freshName }: UpgradeContext): readonly Node[] {
  const x = inputOf(node, 0);
  const y = outputOrOmitted(node, 0);
  const axis = intAttributeOr(node, "axis", 1);
  const shape = type(x)?.shape;
  const later = shape === undefined ? undefined : shape.slice(normalizeAxis(node, axis, shape.length) + 1);
  if (later?.every((dim) => dim === 1) === true) return [withAttributes(node, { axis: int(axis) })];

  const matrix = freshName(`${y}_matrix`);
  const result = freshName(`${y}_result`);
  const dims = freshName(`${y}_dims`);
  const helper = (op: string, inputs: readonly string[], output: string, attributes: Attributes): Node => ({
    name: freshName(`${node.name}/${op}`),
    op,
    domain: "",
    inputs,
    outputs: [output],
    attributes,
  });
  return [
    helper("Flatten", [x], matrix, new Map([["axis", int(axis)]])),
    { ...withAttributes(node, { axis: int(1) }), inputs: [matrix], outputs: [result] },
    helper("Shape", [x], dims, new Map()),
    helper("Reshape", [result, dims], y, new Map()),
  ];
}

function upsampleToResize(node: Node, { constant }: UpgradeContext): readonly Node[] {
  const x = inputOf(node, 0);
  const fed = optionalInput(node, 1);
  const stated = floatsAttribute(node, "scales");
  const scales =
    fed ?? (stated && constant(`${outputOrOmitted(node, 0)}_scales`, float32Tensor([stated.length], stated)));
  if (scales === undefined) throw missing(node, "scales");
  const upsampled = { ...node, op: "Resize", inputs: [x, "", scales], attributes: without(node, "scales") };
  return [asymmetric(upsampled, "floor")];
}

/** The only way of mapping coordinates that there was up to version 10. */
function asymmetric(node: Node, nearest: "floor" | "ceil"): Node {
  return withAttributes(node, {
    coordinate_transformation_mode: text("asymmetric"),
    nearest_mode: text(nearest),
  });
}

function upgradeResize(node: Node, context: UpgradeContext): readonly Node[] {
  if (context.opset > 10) return [withOptionalInputs(node, context)];
  const [x, scales] = inputsOf(node, 2);
  const isNearest = (stringAttribute(node, "mode") ?? "nearest") === "nearest";
  const rounding = isNearest ? nearestRounding(node, context.value(scales)) : "floor";
  return [asymmetric({ ...node, inputs: [x, "", scales] }, rounding)];
}

/** Version 10 leaves the rounding open; ONNX Runtime rounds down where it enlarges and up where it reduces. */
function nearestRounding(node: Node, scales: KnownValue | undefined): "floor" | "ceil" {
  const changing = scales?.elements.filter((scale) => scale !== 1);
  const all = (accepts: (scale: number) => boolean): boolean =>
    changing?.every((scale) => typeof scale === "number" && accepts(scale)) === true;
  if (all((scale) => scale > 1)) return "floor";
  if (all((scale) => scale < 1)) return "ceil";
  throw cannotUpgrade(node, "resizing to the nearest element has no form of opset 13 for these scales", {
    expected: "constant scales, all from 1 up or all up to 1",
    found: scales === undefined ? "scales that are computed" : describeShape(scales.elements),
  });
}

/** Versions 11 and 12 want empty tensors where 13 wants no input at all. */
function withOptionalInputs(node: Node, { value }: UpgradeContext): Node {
  const inputs = node.inputs.map((name, index) =>
    index > 0 && value(name)?.elements.length === 0 ? "" : name,
  );
  return inPresentMode({ ...node, inputs });
}

/** How tf_half_pixel_for_nn, half a pixel behind half_pixel and gone from version 13, rounds like the latter. */
const roundingsOfHalfPixel: Readonly<Record<string, string>> = {
  floor: "round_prefer_ceil",
  round_prefer_floor: "ceil",
};

/** What has no other form stays: ONNX Runtime knows that mode in all versions. */
function inPresentMode(node: Node): Node {
  if (stringAttribute(node, "coordinate_transformation_mode") !== "tf_half_pixel_for_nn") return node;
  const isNearest = (stringAttribute(node, "mode") ?? "nearest") === "nearest";
  const rounding = roundingsOfHalfPixel[stringAttribute(node, "nearest_mode") ?? "round_prefer_floor"];
  if (!isNearest || rounding === undefined) return node;
  return withAttributes(node, {
    coordinate_transformation_mode: text("half_pixel"),
    nearest_mode: text(rounding),
  });
}
