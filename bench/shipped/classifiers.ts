import type { Graph } from "../../src/graph/types.js";
import { ClassifierBuilder } from "../../src/networks/classifier_builder.js";
import { add } from "../../src/ops/core/emit.js";
import { type Inverted, inverted } from "./inverted.js";
import { type Activation, act, concat, excite, halves, shuffle, unit } from "./units.js";

const SEED = 1;
const CLASSES = 1000;
const SIDE = 224;

const start = (): ClassifierBuilder => new ClassifierBuilder(SEED, [3, SIDE, SIDE]);

/** Howard et al. 2019, table 1: kernel, width inside, outputs, whether it squeezes, activation, stride. */
const largeV3: readonly (readonly [number, number, number, boolean, Activation, number])[] = [
  [3, 16, 16, false, "relu", 1],
  [3, 64, 24, false, "relu", 2],
  [3, 72, 24, false, "relu", 1],
  [5, 72, 40, true, "relu", 2],
  [5, 120, 40, true, "relu", 1],
  [5, 120, 40, true, "relu", 1],
  [3, 240, 80, false, "hardSwish", 2],
  [3, 200, 80, false, "hardSwish", 1],
  [3, 184, 80, false, "hardSwish", 1],
  [3, 184, 80, false, "hardSwish", 1],
  [3, 480, 112, true, "hardSwish", 1],
  [3, 672, 112, true, "hardSwish", 1],
  [5, 672, 160, true, "hardSwish", 2],
  [5, 960, 160, true, "hardSwish", 1],
  [5, 960, 160, true, "hardSwish", 1],
];

/** A multiple of 8 near a width. */
const eights = (width: number): number => Math.max(8, Math.round(width / 8) * 8);

export function mobilenetV3(): Graph {
  const net = start();
  let x = unit(net, "stem", net.images(), { inputs: 3, outputs: 16, stride: 2, act: "hardSwish" });
  let channels = 16;
  largeV3.forEach(([kernel, wide, outputs, squeezes, activation, stride], index) => {
    const squeeze = squeezes ? { squeeze: eights(wide / 4), gate: "hardSigmoid" as const } : {};
    x = inverted(net, `block${index}`, x, channels, {
      kernel,
      wide,
      outputs,
      stride,
      act: activation,
      ...squeeze,
    });
    channels = outputs;
  });
  x = unit(net, "last", x, { inputs: channels, outputs: 960, kernel: 1, act: "hardSwish" });
  const features = net.flatten(net.b.emit("GlobalAveragePool", [x]));
  const hidden = act(net, "hardSwish", net.linear("hidden", features, { inputs: 960, outputs: 1280 }));
  return net.finish(hidden, { name: "mobilenet_v3", features: 1280, classes: CLASSES });
}

/** Expansion, kernel, outputs, blocks, stride of the first of them. */
type MobileStage = readonly [number, number, number, number, number];

/** Stages of inverted residuals between a convolution of stride 2 and one of 1x1, all with one activation. */
function mobileNetwork(
  name: string,
  stages: readonly MobileStage[],
  activation: Activation,
  more: (inputs: number) => Partial<Inverted> = () => ({}),
): Graph {
  const net = start();
  let x = unit(net, "stem", net.images(), { inputs: 3, outputs: 32, stride: 2, act: activation });
  let channels = 32;
  stages.forEach(([expansion, kernel, outputs, blocks, stride], stage) => {
    for (let block = 0; block < blocks; block++) {
      x = inverted(net, `stage${stage}.${block}`, x, channels, {
        kernel,
        wide: channels * expansion,
        outputs,
        stride: block === 0 ? stride : 1,
        act: activation,
        ...more(channels),
      });
      channels = outputs;
    }
  });
  x = unit(net, "last", x, { inputs: channels, outputs: 1280, kernel: 1, act: activation });
  return net.classifier(x, { name, features: 1280, classes: CLASSES });
}

/** Tan and Le 2019, table 1. */
const efficientStages: readonly MobileStage[] = [
  [1, 3, 16, 1, 1],
  [6, 3, 24, 2, 2],
  [6, 5, 40, 2, 2],
  [6, 3, 80, 3, 2],
  [6, 5, 112, 3, 1],
  [6, 5, 192, 4, 2],
  [6, 3, 320, 1, 1],
];

export const efficientnetB0 = (): Graph =>
  mobileNetwork("efficientnet_b0", efficientStages, "silu", (inputs) => {
    return { squeeze: Math.max(1, inputs / 4), squeezeAct: "silu" };
  });

/** Tan et al. 2019, with torchvision's widths. */
const mnasStages: readonly MobileStage[] = [
  [1, 3, 16, 1, 1],
  [3, 3, 24, 3, 2],
  [3, 5, 40, 3, 2],
  [6, 5, 80, 3, 2],
  [6, 3, 96, 2, 1],
  [6, 5, 192, 4, 2],
  [6, 3, 320, 1, 1],
];

export const mnasnet = (): Graph => mobileNetwork("mnasnet", mnasStages, "relu");

/** Ma et al. 2018, x1.0. */
export function shufflenetV2(): Graph {
  const net = start();
  let x = unit(net, "stem", net.images(), { inputs: 3, outputs: 24, stride: 2, act: "relu" });
  x = net.maxPool(x, { kernel: 3, stride: 2, pad: 1 });
  let inputs = 24;
  let side = SIDE / 4;
  [
    [116, 4],
    [232, 8],
    [464, 4],
  ].forEach(([channels = 0, blocks = 0], stage) => {
    side /= 2;
    for (let block = 0; block < blocks; block++) {
      const name = `stage${stage}.${block}`;
      const half = channels / 2;
      const stride = block === 0 ? 2 : 1;
      const [kept, worked] = block === 0 ? [x, x] : halves(net, x, channels);
      const width = block === 0 ? inputs : half;
      const down = { inputs, outputs: inputs, stride, groups: inputs };
      const left =
        block === 0
          ? unit(net, `${name}.left.point`, net.convNorm(`${name}.left`, kept, down), {
              inputs,
              outputs: half,
              kernel: 1,
              act: "relu",
            })
          : kept;
      const first = unit(net, `${name}.point1`, worked, {
        inputs: width,
        outputs: half,
        kernel: 1,
        act: "relu",
      });
      const deep = net.convNorm(`${name}.depth`, first, {
        inputs: half,
        outputs: half,
        stride,
        groups: half,
      });
      const right = unit(net, `${name}.point2`, deep, {
        inputs: half,
        outputs: half,
        kernel: 1,
        act: "relu",
      });
      x = shuffle(net, concat(net, [left, right]), channels, side);
    }
    inputs = channels;
  });
  x = unit(net, "last", x, { inputs, outputs: 1024, kernel: 1, act: "relu" });
  return net.classifier(x, { name: "shufflenet_v2", features: 1024, classes: CLASSES });
}

/** Iandola et al. 2016, version 1.1: channels squeezed to, and of each of the two expansions. */
export function squeezenet(): Graph {
  const net = start();
  const plain = (
    name: string,
    x: string,
    inputs: number,
    outputs: number,
    kernel: number,
    stride = 1,
    pad = (kernel - 1) / 2,
  ) => net.relu(name, net.conv(name, x, { inputs, outputs, kernel, stride, pad, bias: true }));
  let x = plain("stem", net.images(), 3, 64, 3, 2, 0);
  let inputs = 64;
  [
    [16, 64],
    [16, 64],
    [32, 128],
    [32, 128],
    [48, 192],
    [48, 192],
    [64, 256],
    [64, 256],
  ].forEach(([narrow = 0, wide = 0], index) => {
    if (index === 0 || index === 2 || index === 4) x = net.maxPool(x, { kernel: 3, stride: 2 });
    const squeezed = plain(`fire${index}.squeeze`, x, inputs, narrow, 1);
    x = concat(net, [
      plain(`fire${index}.one`, squeezed, narrow, wide, 1),
      plain(`fire${index}.three`, squeezed, narrow, wide, 3),
    ]);
    inputs = 2 * wide;
  });
  x = plain("last", x, inputs, CLASSES, 1);
  return net.classifier(x, { name: "squeezenet", features: CLASSES, classes: CLASSES });
}

/** Radosavovic et al. 2020, Y at 400 million multiply-accumulates: width and depth of each stage, groups of 8. */
export function regnetY400(): Graph {
  const net = start();
  let x = unit(net, "stem", net.images(), { inputs: 3, outputs: 32, stride: 2, act: "relu" });
  let inputs = 32;
  [
    [48, 1],
    [104, 3],
    [208, 6],
    [440, 6],
  ].forEach(([width = 0, depth = 0], stage) => {
    for (let block = 0; block < depth; block++) {
      const name = `stage${stage}.${block}`;
      const stride = block === 0 ? 2 : 1;
      const beside =
        inputs === width && stride === 1
          ? x
          : net.convNorm(`${name}.beside`, x, { inputs, outputs: width, kernel: 1, stride });
      const first = unit(net, `${name}.a`, x, { inputs, outputs: width, kernel: 1, act: "relu" });
      const second = unit(net, `${name}.b`, first, {
        inputs: width,
        outputs: width,
        stride,
        groups: width / 8,
        act: "relu",
      });
      const excited = excite(net, `${name}.se`, second, {
        channels: width,
        inner: Math.round(inputs / 4),
        gate: "sigmoid",
      });
      const third = net.convNorm(`${name}.c`, excited, { inputs: width, outputs: width, kernel: 1 });
      x = net.relu(name, add(net.b, beside, third));
      inputs = width;
    }
  });
  return net.classifier(x, { name: "regnet_y_400mf", features: inputs, classes: CLASSES });
}
