import { binary, constant } from "../kernel_builder.js";
import { boundsOf } from "./bounds.js";
import { lowerConv } from "./conv.js";
import type { Lowering } from "./definition.js";
import { binaryLowering, boundsLowering, unaryLowering } from "./elementwise.js";
import { lowerGemm } from "./gemm.js";
import { lowerAveragePool, lowerGlobalAveragePool, lowerMaxPool } from "./pool.js";
import {
  lowerConcat,
  lowerPad,
  lowerReshape,
  lowerSlice,
  lowerSplit,
  lowerTranspose,
  notConstant,
} from "./structure.js";

const lowerBounds = boundsLowering((context) => {
  const bounds = boundsOf(context);
  if (bounds === undefined) throw notConstant(context, "min and max");
  return bounds;
});

/** How each operator of the standard domain is compiled; what is not here cannot be. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  Add: binaryLowering("add"),
  AveragePool: lowerAveragePool,
  Clip: lowerBounds,
  Concat: lowerConcat,
  Conv: lowerConv,
  Div: binaryLowering("divide"),
  Dropout: lowerReshape,
  Flatten: lowerReshape,
  Gemm: lowerGemm,
  GlobalAveragePool: lowerGlobalAveragePool,
  Identity: lowerReshape,
  MaxPool: lowerMaxPool,
  Mul: binaryLowering("multiply"),
  Neg: unaryLowering(([x]) => binary("subtract", constant(0), x ?? constant(0))),
  Pad: lowerPad,
  Relu: lowerBounds,
  Reshape: lowerReshape,
  Slice: lowerSlice,
  Split: lowerSplit,
  Squeeze: lowerReshape,
  Sub: binaryLowering("subtract"),
  Transpose: lowerTranspose,
  Unsqueeze: lowerReshape,
};

export function findLowering({
  op,
  domain,
}: {
  readonly op: string;
  readonly domain: string;
}): Lowering | undefined {
  if (domain !== "" && domain !== "ai.onnx") return undefined;
  return Object.hasOwn(lowerings, op) ? lowerings[op] : undefined;
}
