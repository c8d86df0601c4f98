/**
 * Milliseconds of a 3x3 convolution in a training step (forward, both gradients), by the runtime's direct convolution and
 * by Winograd's F(2x2, 3x3), by shape: `npm run build && node dist/bench/winograd.js [THREADS]`
 */
import { blockSize } from "../src/execute/block_size.js";
import type { Graph } from "../src/graph/types.js";
import { reduceSum } from "../src/ops/core/emit.js";
import type { ConvGeometry } from "../src/ops/families/conv_gradient.js";
import { TypedBuilder } from "../src/ops/inference/builder.js";
import { directConvolution } from "../src/train/blocked/convolution.js";
import { directInputGradient } from "../src/train/blocked/input_gradient.js";
import { Layouts } from "../src/train/blocked/layouts.js";
import { blockedWeightGradients, chooseForm } from "../src/train/blocked/weight_gradient.js";
import {
  winogradConvolution,
  winogradInputGradient,
  winogradWeightGradient,
} from "../src/train/blocked/winograd.js";
import { layerGraph, milliseconds, squareConv } from "../support/single_layers.js";

const shapes: readonly { batch: number; channels: number; size: number }[] = [
  { batch: 64, channels: 512, size: 2 },
  { batch: 64, channels: 64, size: 4 },
  { batch: 64, channels: 128, size: 4 },
  { batch: 64, channels: 256, size: 4 },
  { batch: 64, channels: 512, size: 4 },
  { batch: 16, channels: 512, size: 4 },
  { batch: 64, channels: 256, size: 6 },
  { batch: 64, channels: 512, size: 7 },
  { batch: 64, channels: 128, size: 8 },
  { batch: 64, channels: 256, size: 8 },
  { batch: 64, channels: 512, size: 8 },
  { batch: 64, channels: 512, size: 14 },
  { batch: 64, channels: 128, size: 16 },
];

/** y and dx (blocked), dw. */
type Form = (layouts: Layouts, geometry: ConvGeometry) => readonly [string, string, string];

const x = "x";
const dy = "dy";
const weight = "w";

const forms: Readonly<Record<"neither" | "direct" | "winograd", Form>> = {
  neither: (layouts) => [layouts.blocked(x), layouts.blocked(dy), weight],
  direct: (layouts, geometry) => [
    directConvolution(layouts, geometry, { x, weight, bias: "" }),
    directInputGradient(layouts, geometry, { dy, weight }),
    blockedWeightGradients[chooseForm(layouts, geometry, x) ?? "swap"](layouts, geometry, x, dy),
  ],
  winograd: (layouts, geometry) => [
    winogradConvolution(layouts, geometry, { x, weight }),
    winogradInputGradient(layouts, geometry, { dy, weight }),
    winogradWeightGradient(layouts, geometry, { x, dy }),
  ],
};

/** What a form computes, with blocking x and dy for it and the sums of its results. */
function layer(geometry: ConvGeometry, form: Form, block: number): Graph {
  const { batch, inputChannels, outputChannels, input, output } = geometry;
  const dims = {
    x: [batch, inputChannels, ...input],
    dy: [batch, outputChannels, ...output],
    w: [outputChannels, inputChannels, 3, 3],
  };
  const b = new TypedBuilder(13);
  for (const [name, shape] of Object.entries(dims)) b.declare(name, { elementType: "float32", shape });
  const layouts = new Layouts(b, block, { types: new Map(b.types), values: new Map() }, new Map());
  for (const name of [x, dy]) layouts.blocked(name);
  const outputs = form(layouts, geometry).map((value) => reduceSum(b, value, [0, 1, 2, 3], false));
  return layerGraph(b, Object.keys(dims), outputs);
}

const threads = Number(process.argv[2] ?? 2);
const block = await blockSize();
if (block === undefined) throw new Error("this build of ONNX Runtime has no blocked layout here");
for (const { batch, channels, size } of shapes) {
  const geometry = squareConv({ batch, from: channels, to: channels, size });
  const time = (form: Form): Promise<number> => milliseconds(layer(geometry, form, block), threads);
  const around = await time(forms.neither);
  const direct = (await time(forms.direct)) - around;
  const winograd = (await time(forms.winograd)) - around;
  const ratio = (winograd / direct).toFixed(2);
  console.log(
    `${channels} @ ${size}x${size}, n ${batch}: ${direct.toFixed(1)} -> ${winograd.toFixed(1)} (${ratio})`,
  );
}
