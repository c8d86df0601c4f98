import { broadcasting } from "../channels/elementwise.js";
import { checkRequiredInputs, requiredInput } from "../core/arguments.js";
import { checkBroadcastsTo } from "../core/broadcast.js";
import type { GradientRule, OpDefinition } from "../core/definition.js";
import { noProducts } from "../core/definition.js";
import { mul } from "../core/emit.js";
import { whereNegative } from "../families/elementwise.js";

/**
 * y = x for x ≥ 0, slope·x below; the slope broadcasts to x (ONNX PRelu, opset 7 and later).
 * dx = dy for x ≥ 0, slope·dy below; dslope = dy·min(x, 0).
 */
export const PRelu: OpDefinition = {
  type: "PRelu",
  cost: noProducts,
  constants: { trained: [1], settings: [] },
  shape: (context) => {
    checkRequiredInputs(context, 2);
    const x = requiredInput(context, 0);
    checkBroadcastsTo(context, 1, x.shape);
    return [x];
  },
  channels: broadcasting(preluConstant, { shapedBy: 0 }),
  gradient: preluGradient,
};

function preluGradient({
  builder: b,
  node,
  outputGradients: [dy],
  needs,
}: Parameters<GradientRule>[0]): ReturnType<GradientRule> {
  const [x, slope] = node.inputs;
  if (dy === undefined || x === undefined || slope === undefined) return [];
  return [
    needs[0] === true ? whereNegative(b, x, mul(b, dy, slope), dy) : undefined,
    needs[1] === true ? mul(b, dy, b.emit("Min", [x, b.scalar(0)])) : undefined,
  ];
}

function preluConstant([x, slope]: readonly (number | undefined)[]): number | undefined {
  if (x === undefined || x >= 0) return x;
  return slope === undefined ? undefined : x * slope;
}
