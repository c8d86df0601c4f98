import { hasOutput, inputOf, orDefault, outputOf, present } from "../../graph/at.js";
import {
  attributesOf,
  float,
  floatAttribute,
  floatAttributeOr,
  floatsAttribute,
  int,
  intAttribute,
  intAttributeOr,
  stringAttributeOr,
  text,
} from "../../graph/attributes.js";
import { usedNames } from "../../graph/edit.js";
import { float32ToFloat16 } from "../../graph/float16.js";
import { firstOf, inputOrOmitted, inputsOf } from "../../graph/operands.js";
import { numericTensor, scalarTensor } from "../../graph/tensor.js";
import type { Attribute, Graph, Node, Tensor } from "../../graph/types.js";
import { normalizeAxis } from "../core/arguments.js";
import { standardOpset } from "../core/definition.js";
import { reduceMean, transpose } from "../core/emit.js";
import { TypedBuilder } from "../inference/builder.js";
import { matMulOfBlocks } from "./unfuse_blockwise.js";
import { type QuantizedProducts, quantizedRules } from "./unfuse_quantized.js";
import { realLstm } from "./unfuse_quantized_recurrence.js";
import { castLike, lpNormalization } from "./unfuse_standard.js";

/**
 * Writes a fused node in standard operators, its last one with the fused node's output.
 * @returns false where it cannot; then it has emitted nothing but constants
 */
type Rule = (b: TypedBuilder, node: Node) => boolean;

const MICROSOFT = "com.microsoft";

/** What ONNX Runtime's optimizers put together (operators of its own), and standard operators that are others put together. */
const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [`${MICROSOFT} FusedConv`, unfuseConv],
  [`${MICROSOFT} FusedGemm`, unfuseGemm],
  [`${MICROSOFT} FusedMatMul`, unfuseMatMul],
  [`${MICROSOFT} TransposeMatMul`, unfuseMatMul],
  [`${MICROSOFT} QuickGelu`, swish(1.702)],
  [`${MICROSOFT} Gelu`, gelu("none")],
  [`${MICROSOFT} BiasGelu`, gelu("none")],
  [`${MICROSOFT} FastGelu`, gelu("tanh")],
  [`${MICROSOFT} SkipLayerNormalization`, unfuseSkipNormalization],
  [`${MICROSOFT} MatMulNBits`, matMulOfBlocks],
  [" CastLike", castLike],
  [" LpNormalization", lpNormalization],
  [" SimplifiedLayerNormalization", rootMeanSquare],
  [" RMSNormalization", rootMeanSquare],
  [" Swish", swish(1)],
]);

type RuleOf = (node: Node) => Rule | undefined;

function rulesWith(products: QuantizedProducts): RuleOf {
  const quantized = quantizedRules(products);
  return (node) => {
    const { domain, op } = node;
    const ofDomain = domain === MICROSOFT ? quantized.get(op) : undefined;
    const rule = rules.get(`${domain === "ai.onnx" ? "" : domain} ${op}`) ?? ofDomain;
    // A node without the output that a rule writes is dead, and goes elsewhere; that of an LSTM may be any.
    return hasOutput(node, 0) || rule === realLstm ? rule : undefined;
  };
}

const ruleFor: Readonly<Record<QuantizedProducts, RuleOf>> = {
  integers: rulesWith("integers"),
  real: rulesWith("real"),
};

/**
 * The same network without the operators that ONNX Runtime writes into files it has optimized, as far as they are
 * standard operators put together: convolutions and products with their activations, normalizations with their sums.
 * A node in a form that is not known stays. The same object where there is none of them.
 * @param products what becomes of products of quantized matrices (`quantizedRules`)
 */
export function unfuse(graph: Graph, products: QuantizedProducts = "integers"): Graph {
  const ruleOf = ruleFor[products];
  if (!graph.nodes.some((node) => ruleOf(node) !== undefined)) return graph;
  const b = new TypedBuilder(standardOpset(graph), usedNames(graph));
  const declared = [...graph.valueInfo.values(), ...graph.outputs];
  for (const { name, type } of [...declared, ...graph.inputs]) if (type !== undefined) b.declare(name, type);
  for (const [name, tensor] of graph.initializers) b.setInitializer(name, tensor);
  for (const node of graph.nodes) if (ruleOf(node)?.(b, node) !== true) b.append(node);
  return { ...graph, nodes: b.nodes, initializers: b.initializers };
}

/** A number of the element type of `like`; undefined where it cannot be written. */
function numberLike(b: TypedBuilder, like: string, value: number): string | undefined {
  const type = b.types.get(like)?.elementType;
  if (type === "float32" || type === undefined) return b.scalar(value);
  const tensor: Tensor | undefined =
    type === "float16" ? float32ToFloat16(scalarTensor(value)) : numericTensor(type, [], [value]);
  return tensor === undefined ? undefined : b.constant(`number_${value}`, tensor);
}

const numbersLike = (
  b: TypedBuilder,
  like: string,
  values: readonly number[],
): readonly string[] | undefined => {
  const names = values.map((value) => numberLike(b, like, value));
  return names.every((name) => name !== undefined) ? names : undefined;
};

/** Attributes of activations by their position among the fused node's parameters, with the runtime's own defaults. */
const activationParameters: Readonly<Record<string, readonly string[]>> = {
  Relu: [],
  Sigmoid: [],
  Tanh: [],
  Softplus: [],
  Softsign: [],
  Elu: ["alpha"],
  HardSigmoid: ["alpha", "beta"],
  LeakyRelu: ["alpha"],
  Selu: ["alpha", "gamma"],
  ThresholdedRelu: ["alpha"],
};

/** Emits an activation with the parameters that are given; false where it is not known. */
function activation(
  b: TypedBuilder,
  name: string,
  x: string,
  y: string,
  given: readonly (number | undefined)[],
): boolean {
  if (name === "Clip") return clip(b, x, y, given);
  const parameters = Object.hasOwn(activationParameters, name) ? activationParameters[name] : undefined;
  if (parameters === undefined) return false;
  const named = parameters.flatMap((parameter, at): [string, Attribute][] => {
    const value = given[at];
    return value === undefined ? [] : [[parameter, float(value)]];
  });
  b.emit(name, [x], { outputs: [y], attributes: Object.fromEntries(named) });
  return true;
}

function clip(b: TypedBuilder, x: string, y: string, given: readonly (number | undefined)[]): boolean {
  const [low, high] = given;
  if (low === undefined || high === undefined) return false;
  if (b.opset < 11) b.emit("Clip", [x], { outputs: [y], attributes: { min: float(low), max: float(high) } });
  else {
    const bounds = numbersLike(b, x, [low, high]);
    if (bounds === undefined) return false;
    b.emit("Clip", [x, ...bounds], { outputs: [y] });
  }
  return true;
}

const isActivation = (name: string): boolean =>
  name === "" || name === "Clip" || Object.hasOwn(activationParameters, name);

const CONV = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

/** Inputs x, weight, bias, and what is added before the activation. */
function unfuseConv(b: TypedBuilder, node: Node): boolean {
  const name = stringAttributeOr(node, "activation", "");
  const parameters = orDefault(floatsAttribute(node, "activation_params"), []);
  if (!isActivation(name) || (name === "Clip" && parameters.length !== 2)) return false;
  const [x, weight] = inputsOf(node, 2);
  const [bias, added] = [inputOrOmitted(node, 2), inputOrOmitted(node, 3)];
  const y = outputOf(node, 0);
  const inputs = bias === "" ? [x, weight] : [x, weight, bias];
  const isSum = added !== "";
  const convOutput = name === "" && !isSum ? y : b.freshName(`${y}_conv`);
  b.emit("Conv", inputs, { outputs: [convOutput], attributes: attributesOf(node, CONV) });
  const sum = name === "" ? y : b.freshName(`${y}_sum`);
  if (isSum) b.emit("Add", [convOutput, added], { outputs: [sum] });
  return name === "" || activation(b, name, isSum ? sum : convOutput, y, parameters);
}

function unfuseGemm(b: TypedBuilder, node: Node): boolean {
  const name = stringAttributeOr(node, "activation", "");
  if (name === "Clip" || !isActivation(name)) return false;
  const parameters = ["activation_alpha", "activation_beta"].map((each) => floatAttribute(node, each));
  const [alpha, beta] = parameters;
  const y = outputOf(node, 0);
  const product = name === "" ? y : b.freshName(`${y}_gemm`);
  const kept = attributesOf(node, ["alpha", "beta", "transA", "transB"]);
  b.emit("Gemm", node.inputs, { outputs: [product], attributes: kept });
  const given = name === "Selu" ? [alpha, floatAttribute(node, "activation_gamma")] : [alpha, beta];
  return name === "" || activation(b, name, product, y, given);
}

/** alpha · A' B', the last two axes of each turned where asked for. */
function unfuseMatMul(b: TypedBuilder, node: Node): boolean {
  const [a, c] = inputsOf(node, 2);
  const alpha = floatAttributeOr(node, "alpha", 1);
  const factor = alpha === 1 ? undefined : numberLike(b, a, alpha);
  const turns = [intAttribute(node, "transA") === 1, intAttribute(node, "transB") === 1];
  const ranks = [a, c].map((name) => b.types.get(name)?.shape?.length);
  const isBatched = ["transBatchA", "transBatchB"].some((each) => intAttribute(node, each) === 1);
  if (isBatched || (alpha !== 1 && factor === undefined)) return false;
  if (turns.some((turned, at) => turned && ranks[at] === undefined)) return false;
  const [left, right] = firstOf(
    [a, c].map((name, factorNumber) =>
      turns[factorNumber] === true ? lastTwoTurned(b, name, present(ranks[factorNumber])) : name,
    ),
    2,
  );
  const y = outputOf(node, 0);
  const product = factor === undefined ? y : b.freshName(`${y}_product`);
  b.emit("MatMul", [left, right], { outputs: [product] });
  if (factor !== undefined) b.emit("Mul", [product, factor], { outputs: [y] });
  return true;
}

/** A vector has nothing to be turned. */
function lastTwoTurned(b: TypedBuilder, x: string, rank: number): string {
  if (rank < 2) return x;
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return transpose(b, x, [...axes.slice(0, -2), rank - 1, rank - 2]);
}

/** y = x · σ(alpha x). */
function swish(usual: number): Rule {
  return (b, node) => {
    const x = inputOf(node, 0);
    const alpha = floatAttribute(node, "alpha") ?? usual;
    const factor = alpha === 1 ? undefined : numberLike(b, x, alpha);
    if (alpha !== 1 && factor === undefined) return false;
    const scaled = factor === undefined ? x : b.emit("Mul", [x, factor]);
    b.emit("Mul", [x, b.emit("Sigmoid", [scaled])], { outputs: [outputOf(node, 0)] });
    return true;
  };
}

/** Gelu of x, or of x plus a second input; exact, or by tanh. */
function gelu(approximate: "none" | "tanh"): Rule {
  return (b, node) => {
    const given = inputOf(node, 0);
    const bias = inputOrOmitted(node, 1);
    const y = outputOf(node, 0);
    const constants = numbersLike(b, given, [0.5, 1, Math.SQRT2, Math.sqrt(2 / Math.PI), 0.044715]);
    if (constants === undefined) return false;
    const x = bias === "" ? given : b.emit("Add", [given, bias]);
    if (b.opset >= 20) {
      b.emit("Gelu", [x], { outputs: [y], attributes: { approximate: text(approximate) } });
      return true;
    }
    const [half, one, root, slope, cubic] = firstOf(constants, 5);
    const mul = (left: string, right: string): string => b.emit("Mul", [left, right]);
    const curve = (): string => {
      if (approximate === "none") return b.emit("Erf", [b.emit("Div", [x, root])]);
      const cube = mul(mul(x, x), x);
      return b.emit("Tanh", [mul(slope, b.emit("Add", [x, mul(cubic, cube)]))]);
    };
    b.emit("Mul", [mul(half, x), b.emit("Add", [one, curve()])], { outputs: [y] });
    return true;
  };
}

/** Layer normalization of a sum: inputs x, skip, scale, shift, bias; outputs y, mean, deviation, sum. */
function unfuseSkipNormalization(b: TypedBuilder, node: Node): boolean {
  const [x, skip, scale] = inputsOf(node, 3);
  const [shift, bias] = [inputOrOmitted(node, 3), inputOrOmitted(node, 4)];
  if (hasOutput(node, 1) || hasOutput(node, 2)) return false;
  const y = outputOf(node, 0);
  const sum = hasOutput(node, 3) ? outputOf(node, 3) : b.freshName(`${y}_sum`);
  const first = bias === "" ? x : b.emit("Add", [x, bias]);
  b.emit("Add", [first, skip], { outputs: [sum] });
  b.emit("LayerNormalization", shift === "" ? [sum, scale] : [sum, scale, shift], {
    outputs: [y],
    attributes: { axis: int(-1), epsilon: float(floatAttributeOr(node, "epsilon", 1e-12)) },
  });
  return true;
}

/** y = x / √(mean of x² + epsilon) · scale, over the axes from `axis` on. */
function rootMeanSquare(b: TypedBuilder, node: Node): boolean {
  const [x, scale] = inputsOf(node, 2);
  const [y, ...others] = node.outputs;
  const rank = b.types.get(x)?.shape?.length;
  const epsilon = numberLike(b, x, floatAttributeOr(node, "epsilon", 1e-5));
  if (y === undefined || rank === undefined || epsilon === undefined || others.some((name) => name !== ""))
    return false;
  const first = normalizeAxis(node, intAttributeOr(node, "axis", -1), rank);
  const axes = Array.from({ length: rank - first }, (_, at) => first + at);
  const mean = reduceMean(b, b.emit("Mul", [x, x]), axes, true);
  const root = b.emit("Sqrt", [b.emit("Add", [mean, epsilon])]);
  b.emit("Mul", [b.emit("Div", [x, root]), scale], { outputs: [y] });
  return true;
}
