import { hasInput, inputOf } from "../../graph/at.js";
import { intsAttribute, stringAttribute } from "../../graph/attributes.js";
import { freshNames, usedNames, withInitializers } from "../../graph/edit.js";
import { ofInput } from "../../graph/operands.js";
import { float32Tensor } from "../../graph/tensor.js";
import type { Graph, Node, Shape, Tensor } from "../../graph/types.js";
import { standardOpset } from "../core/definition.js";
import { scaledDim } from "../core/scaling.js";
import { type Inference, inferGraph } from "../inference/infer.js";

/** Resize has inputs (X, roi, scales, sizes) since version 11. */
const FIRST_OPSET = 11;
const SIZES = 3;

/**
 * Gives Resize nodes that state sizes the scales that lead to them: sizes are mostly put together from the Shape of
 * some value while the model runs, and hold the number of channels. Only where height and width are known, all other
 * axes keep their size, and the scales give exactly these sizes; ONNX Runtime then computes the same to the bit, as it
 * divides the sizes itself.
 */
export function resizeByScales(graph: Graph): Graph {
  if (standardOpset(graph) < FIRST_OPSET) return graph;
  const inference = inferGraph(graph);
  const fresh = freshNames(usedNames(graph));
  const added = new Map<string, Tensor>();
  const nodes = graph.nodes.map((node) => {
    const scales = scalesOf(node, inference);
    if (scales === undefined) return node;
    const name = fresh(`${node.outputs[0]}_scales`);
    added.set(name, float32Tensor([scales.length], scales));
    return { ...node, inputs: [inputOf(node, 0), "", name] };
  });
  return added.size === 0 ? graph : withInitializers({ ...graph, nodes }, added);
}

function scalesOf(node: Node, { types, values }: Inference): readonly number[] | undefined {
  const isStandard = node.domain === "" || node.domain === "ai.onnx";
  if (node.op !== "Resize" || !isStandard || !hasInput(node, SIZES) || !isPlain(node)) return undefined;
  const input = ofInput(types, node, 0)?.shape;
  const output = ofInput(values, node, SIZES)?.elements;
  if (input === undefined || output?.length !== input.length) return undefined;
  return scalesBetween(input, output);
}

/** Whether sizes mean nothing but themselves: no region, no aspect ratio to keep, no choice of axes. */
function isPlain(node: Node): boolean {
  const stretches = (stringAttribute(node, "keep_aspect_ratio_policy") ?? "stretch") === "stretch";
  const cropped = stringAttribute(node, "coordinate_transformation_mode") === "tf_crop_and_resize";
  return stretches && !cropped && intsAttribute(node, "axes") === undefined;
}

function scalesBetween(input: Shape, output: Shape): readonly number[] | undefined {
  const scales = input.map((size, axis) => {
    const wanted = output[axis];
    if (size !== undefined && size === wanted) return 1;
    if (typeof size !== "number" || typeof wanted !== "number" || axis < 2) return undefined;
    const scale = Math.fround(wanted / size);
    // The runtime's kernel multiplies in float32, the shape inference with which it loads a graph in float64.
    const isExact = scaledDim(size, scale) === wanted && Math.floor(size * scale) === wanted;
    return isExact ? scale : undefined;
  });
  return scales.every((scale) => scale !== undefined) ? scales : undefined;
}
