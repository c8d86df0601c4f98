import { ints, intsAttribute } from "../../graph/attributes.js";
import { PenniError } from "../../graph/errors.js";
import { describeShape } from "../../graph/shape_error.js";
import type { Attribute, Node } from "../../graph/types.js";
import { groupCount } from "../../layers/groups.js";
import { staticWindow } from "../core/window.js";
import type { ConvGeometry } from "./conv_gradient.js";

/** Dimensions [A, B, L] as [A, B, 1, L]; others as they are. */
export function planeDims(dims: readonly number[]): readonly number[] {
  return dims.length === 3 ? [...dims.slice(0, 2), 1, ...dims.slice(2)] : dims;
}

/** A convolution over one spatial axis as one over planes of height 1. */
function planarNode(node: Node): Node {
  const lead = (name: string, first: number): readonly (readonly [string, Attribute])[] => {
    const values = intsAttribute(node, name);
    return values === undefined ? [] : [[name, ints(values.flatMap((value) => [first, value]))]];
  };
  const attributes = new Map([
    ...node.attributes,
    ...lead("kernel_shape", 1),
    ...lead("strides", 1),
    ...lead("dilations", 1),
    ...lead("pads", 0),
  ]);
  return { ...node, attributes };
}

/**
 * The geometry of a convolution over planes, or over one axis as over planes of height 1.
 * @throws PenniError "unsupported" for another number of spatial axes
 */
export function convGeometry(node: Node, x: readonly number[], weight: readonly number[]): ConvGeometry {
  const [batch, inputChannels, height, width, ...more] = planeDims(x);
  const [outputChannels, , kernelHeight, kernelWidth] = planeDims(weight);
  if (
    batch === undefined ||
    inputChannels === undefined ||
    height === undefined ||
    width === undefined ||
    outputChannels === undefined ||
    kernelHeight === undefined ||
    kernelWidth === undefined ||
    more.length > 0
  ) {
    throw new PenniError("unsupported", "gradients exist for convolutions over one or two axes", {
      node: node.name,
      op: node.op,
      expected: "an input of rank 3 or 4",
      found: describeShape(x),
    });
  }
  const kernel = [kernelHeight, kernelWidth] as const;
  const flat = x.length === 3 ? planarNode(node) : node;
  const window = staticWindow({ node: flat, inputSpatial: [height, width], kernel });
  return {
    batch,
    inputChannels,
    outputChannels,
    groups: groupCount(node),
    input: [height, width],
    kernel,
    output: pair(window.output),
    strides: pair(window.strides),
    dilations: pair(window.dilations),
    pads: [...pair(window.pads.slice(0, 2)), ...pair(window.pads.slice(2))],
  };
}

function pair(values: readonly number[]): readonly [number, number] {
  const [first, second] = values;
  if (first === undefined || second === undefined) throw new RangeError("two values expected");
  return [first, second];
}
