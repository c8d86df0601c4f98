import {
  floatAttribute,
  floatsAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  tensorAttribute,
} from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { float32Tensor, int64Tensor, scalarTensor } from "../../graph/tensor.js";
import type { Node, Tensor } from "../../graph/types.js";
import type { OpDefinition } from "../core/definition.js";
import { absent, noProducts, ofConstants } from "../core/definition.js";
import { knownTensor } from "../core/rearrange.js";

/** A tensor that is part of the graph (ONNX Constant, opset 1 and later; every form but sparse_value). */
export const Constant: OpDefinition = {
  type: "Constant",
  gradient: ofConstants,
  channels: absent("it reads no channels"),
  cost: noProducts,
  shape: ({ node }) => {
    const { type, dims } = constantTensor(node);
    return [{ elementType: type, shape: dims }];
  },
  value: ({ node }) => [knownTensor(constantTensor(node))],
};

/**
 * The tensor of a Constant node.
 * @throws PenniError "unsupported" for sparse constants, "bad-model" if there is no value.
 */
export function constantTensor(node: Node): Tensor {
  const whole = tensorAttribute(node, "value");
  if (whole !== undefined) return whole;
  const float = floatAttribute(node, "value_float");
  if (float !== undefined) return scalarTensor(float);
  const floats = floatsAttribute(node, "value_floats");
  if (floats !== undefined) return float32Tensor([floats.length], floats);
  const int = intAttribute(node, "value_int");
  if (int !== undefined) return int64Tensor([], [int]);
  const ints = intsAttribute(node, "value_ints");
  if (ints !== undefined) return int64Tensor([ints.length], ints);
  return stringTensor(node) ?? fail(node);
}

function stringTensor(node: Node): Tensor | undefined {
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const single = stringAttribute(node, "value_string");
  if (single !== undefined)
    return { type: "string", dims: [], bytes: new Uint8Array(), strings: [encode(single)] };
  const several = node.attributes.get("value_strings");
  if (several?.kind !== "strings") return undefined;
  return {
    type: "string",
    dims: [several.value.length],
    bytes: new Uint8Array(),
    strings: several.value.map(encode),
  };
}

function fail(node: Node): never {
  if (node.attributes.has("sparse_value")) {
    throw new PenniError("unsupported", "sparse constants are not supported", {
      node: node.name,
      op: node.op,
      advice: "Store the tensor as an initializer",
    });
  }
  throw new PenniError("bad-model", "the constant has no value", { node: node.name, op: node.op });
}
