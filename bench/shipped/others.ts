import { int, ints, text } from "../../src/graph/attributes.js";
import type { Graph } from "../../src/graph/types.js";
import { ClassifierBuilder } from "../../src/networks/classifier_builder.js";
import { add } from "../../src/ops/core/emit.js";
import { dilated, inverted } from "./inverted.js";
import { type Activation, act, concat, enlarge, excite, unit } from "./units.js";

const SEED = 1;

/** The graph with other outputs than a classifier's. */
function withOutputs(net: ClassifierBuilder, name: string, outputs: readonly string[]): Graph {
  const { b } = net;
  const info = (value: string) => ({ name: value, type: b.types.get(value) });
  return {
    name,
    opsets: new Map([["", b.opset]]),
    inputs: [info("images")],
    outputs: outputs.map(info),
    nodes: b.nodes,
    initializers: b.initializers,
    valueInfo: new Map(),
    metadata: new Map(),
  };
}

/** Two convolutions with what came in added, as often as asked; beside them a 1x1 convolution (a CSP block). */
function cspBlock(
  net: ClassifierBuilder,
  name: string,
  x: string,
  {
    inputs,
    outputs,
    depth,
    adds,
  }: { readonly inputs: number; readonly outputs: number; readonly depth: number; readonly adds: boolean },
): string {
  const half = outputs / 2;
  const point = { inputs, outputs: half, kernel: 1, act: "silu" } as const;
  const beside = unit(net, `${name}.beside`, x, point);
  let way = unit(net, `${name}.way`, x, point);
  for (let index = 0; index < depth; index++) {
    const narrow = unit(net, `${name}.${index}.a`, way, {
      inputs: half,
      outputs: half,
      kernel: 1,
      act: "silu",
    });
    const wide = unit(net, `${name}.${index}.b`, narrow, { inputs: half, outputs: half, act: "silu" });
    way = adds ? add(net.b, way, wide) : wide;
  }
  return unit(net, `${name}.out`, concat(net, [way, beside]), {
    inputs: outputs,
    outputs,
    kernel: 1,
    act: "silu",
  });
}

/** In the manner of YOLOv5 nano: CSP backbone with SiLU, pooling pyramid, paths up and down, three levels of boxes. */
export function yoloLike(): Graph {
  const net = new ClassifierBuilder(SEED, [3, 320, 320]);
  const down = (name: string, x: string, inputs: number, outputs: number) =>
    unit(net, name, x, { inputs, outputs, stride: 2, act: "silu" });
  const csp = (name: string, x: string, inputs: number, outputs: number, depth: number, adds = true) =>
    cspBlock(net, name, x, { inputs, outputs, depth, adds });
  let x = unit(net, "stem", net.images(), {
    inputs: 3,
    outputs: 16,
    kernel: 6,
    stride: 2,
    pad: 2,
    act: "silu",
  });
  x = csp("c2", down("d2", x, 16, 32), 32, 32, 1);
  const fine = csp("c3", down("d3", x, 32, 64), 64, 64, 2);
  const middle = csp("c4", down("d4", fine, 64, 128), 128, 128, 3);
  x = csp("c5", down("d5", middle, 128, 256), 256, 256, 1);
  x = unit(net, "pyramid.in", x, { inputs: 256, outputs: 128, kernel: 1, act: "silu" });
  const pools = [x];
  for (let index = 0; index < 3; index++)
    pools.push(net.maxPool(pools[index] ?? x, { kernel: 5, stride: 1, pad: 2 }));
  x = unit(net, "pyramid.out", concat(net, pools), { inputs: 512, outputs: 256, kernel: 1, act: "silu" });
  const high = unit(net, "up5", x, { inputs: 256, outputs: 128, kernel: 1, act: "silu" });
  x = csp("n4", concat(net, [enlarge(net, high, 2), middle]), 256, 128, 1, false);
  const mid = unit(net, "up4", x, { inputs: 128, outputs: 64, kernel: 1, act: "silu" });
  const small = csp("n3", concat(net, [enlarge(net, mid, 2), fine]), 128, 64, 1, false);
  const medium = csp("m4", concat(net, [down("dm", small, 64, 64), mid]), 128, 128, 1, false);
  const large = csp("m5", concat(net, [down("dl", medium, 128, 128), high]), 256, 256, 1, false);
  const heads = [
    [small, 64],
    [medium, 128],
    [large, 256],
  ] as const;
  const outputs = heads.map(([level, inputs], index) =>
    act(net, "sigmoid", net.conv(`head${index}`, level, { inputs, outputs: 255, kernel: 1, bias: true })),
  );
  const rows = outputs.map((level) => net.b.emit("Reshape", [level, net.b.axes([1, 255, -1])]));
  return withOutputs(net, "yolo_like", [net.b.emit("Concat", rows, { attributes: { axis: int(2) } })]);
}

/** Kernel, width inside, outputs, whether it squeezes, activation, stride: MobileNet v3 at half its width. */
const textStages: readonly (readonly [number, number, number, Activation, number])[] = [
  [3, 8, 8, "relu", 1],
  [3, 32, 16, "relu", 2],
  [3, 40, 16, "relu", 1],
  [5, 40, 24, "relu", 2],
  [5, 64, 24, "relu", 1],
  [5, 64, 24, "relu", 1],
  [3, 120, 40, "hardSwishChain", 2],
  [3, 104, 40, "hardSwishChain", 1],
  [3, 96, 40, "hardSwishChain", 1],
  [3, 240, 56, "hardSwishChain", 1],
  [3, 336, 56, "hardSwishChain", 1],
  [5, 336, 80, "hardSwishChain", 2],
  [5, 480, 80, "hardSwishChain", 1],
  [5, 480, 80, "hardSwishChain", 1],
];

/** In the manner of PP-OCR's text detection: MobileNet v3, a pyramid with squeeze and excitation, a head of transposed convolutions. */
export function dbnetLike(): Graph {
  const net = new ClassifierBuilder(SEED, [3, 480, 480]);
  let x = unit(net, "stem", net.images(), { inputs: 3, outputs: 8, stride: 2, act: "hardSwishChain" });
  let inputs = 8;
  const levels: { readonly x: string; readonly channels: number }[] = [];
  textStages.forEach(([kernel, wide, outputs, activation, stride], index) => {
    if (stride === 2 && index > 1) levels.push({ x, channels: inputs });
    const block = { kernel, wide, outputs, stride, act: activation, widens: true };
    x = inverted(net, `block${index}`, x, inputs, block);
    inputs = outputs;
  });
  levels.push({
    x: unit(net, "last", x, { inputs, outputs: 480, kernel: 1, act: "hardSwishChain" }),
    channels: 480,
  });
  const width = 96;
  const squeezed = (name: string, at: string, channels: number, outputs: number, kernel: number): string => {
    const map = net.conv(name, at, { inputs: channels, outputs, kernel });
    const gated = excite(net, `${name}.se`, map, {
      channels: outputs,
      inner: outputs / 4,
      gate: "hardSigmoid",
    });
    return add(net.b, map, gated);
  };
  const laterals = levels.map(({ x: level, channels }, index) =>
    squeezed(`lateral${index}`, level, channels, width, 1),
  );
  for (let index = laterals.length - 2; index >= 0; index--)
    laterals[index] = add(net.b, laterals[index] ?? "", enlarge(net, laterals[index + 1] ?? "", 2));
  const parts = laterals.map((level, index) => {
    const part = squeezed(`part${index}`, level, width, width / 4, 3);
    return index === 0 ? part : enlarge(net, part, 2 ** index);
  });
  x = unit(net, "head", concat(net, parts.toReversed()), { inputs: width, outputs: 24, act: "relu" });
  x = net.relu("up1", transposed(net, "up1", x, 24, 24));
  x = act(net, "sigmoid", transposed(net, "up2", x, 24, 1));
  return withOutputs(net, "dbnet_like", [x]);
}

/** A transposed convolution of 2x2 that doubles height and width. */
function transposed(
  { b }: ClassifierBuilder,
  name: string,
  x: string,
  inputs: number,
  outputs: number,
): string {
  const values = Float32Array.from({ length: inputs * outputs * 4 }, (_, at) => Math.sin(at) / inputs);
  const weights = [
    b.floats(`${name}.weight`, [inputs, outputs, 2, 2], values),
    b.floats(`${name}.bias`, [outputs], new Float32Array(outputs)),
  ];
  return b.emit("ConvTranspose", [x, ...weights], {
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
  });
}

/** In the manner of DeepLab v3 on MobileNet v2: the last stages keep their size, with holes; three rates and the mean side by side. */
export function deeplabLike(): Graph {
  const side = 257;
  const net = new ClassifierBuilder(SEED, [3, side, side]);
  let x = unit(net, "stem", net.images(), { inputs: 3, outputs: 32, stride: 2, act: "relu6" });
  let inputs = 32;
  const stages = [
    [1, 16, 1, 1, 1],
    [6, 24, 2, 2, 1],
    [6, 32, 3, 2, 1],
    [6, 64, 4, 2, 1],
    [6, 96, 3, 1, 1],
    [6, 160, 3, 1, 2],
    [6, 320, 1, 1, 2],
  ];
  stages.forEach(([expansion = 1, outputs = 0, blocks = 0, first = 1, rate = 1], stage) => {
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 ? first : 1;
      const sizes = { kernel: 3, wide: inputs * expansion, outputs, stride, rate };
      x = inverted(net, `stage${stage}.${block}`, x, inputs, { ...sizes, act: "relu6" });
      inputs = outputs;
    }
  });
  const small = 17;
  const mean = unit(net, "mean", net.b.emit("GlobalAveragePool", [x]), {
    inputs,
    outputs: 256,
    kernel: 1,
    act: "relu",
  });
  const spread = net.b.emit("Expand", [mean, net.b.axes([1, 256, small, small])]);
  const branches = [
    unit(net, "aspp.point", x, { inputs, outputs: 256, kernel: 1, act: "relu" }),
    ...[6, 12].map((rate) =>
      unit(
        net,
        `aspp${rate}.point`,
        dilated(net, `aspp${rate}`, x, { inputs, outputs: inputs, groups: inputs, rate }),
        { inputs, outputs: 256, kernel: 1, act: "relu" },
      ),
    ),
    spread,
  ];
  x = unit(net, "aspp.out", concat(net, branches), { inputs: 1024, outputs: 256, kernel: 1, act: "relu" });
  x = net.conv("classes", x, { inputs: 256, outputs: 21, kernel: 1, bias: true });
  const sizes = net.b.axes([1, 21, side, side]);
  const out = net.b.emit("Resize", [x, "", "", sizes], {
    attributes: { mode: text("linear"), coordinate_transformation_mode: text("half_pixel") },
  });
  return withOutputs(net, "deeplab_like", [out]);
}

/** Shi et al. 2016, of brightness alone, three times as large: 5x5, 3x3, 3x3, 3x3, then depth to space. */
export function espcnLike(): Graph {
  const net = new ClassifierBuilder(SEED, [1, 224, 224]);
  const layers = [
    [1, 64, 5],
    [64, 64, 3],
    [64, 32, 3],
  ] as const;
  const deep = layers.reduce((x, [inputs, outputs, kernel], index) => {
    const name = `conv${index}`;
    return net.relu(name, net.conv(name, x, { inputs, outputs, kernel, bias: true }));
  }, net.images());
  const fine = net.conv("last", deep, { inputs: 32, outputs: 9, bias: true });
  const image = net.b.emit("DepthToSpace", [fine], { attributes: { blocksize: int(3), mode: text("CRD") } });
  return withOutputs(net, "espcn_like", [image]);
}
