import { float, int, ints } from "../../src/graph/attributes.js";
import { int64Tensor } from "../../src/graph/tensor.js";
import { finished, Layers, type ZooNetwork } from "./layers.js";

/**
 * As tf2onnx writes a Keras network: channels last outside, Transposes around what wants them first, SAME padding of
 * stride 2 as an uneven Pad, normalizations without a convolution before them as Mul and Add, means over axes 1 and 2.
 */
export function kerasStyle(): ZooNetwork {
  const net = new Layers(61, [17, 17, 3], 13);
  const first = (x: string): string => net.transpose(x, [0, 3, 1, 2]);
  const last = (x: string): string => net.transpose(x, [0, 2, 3, 1]);
  const strided = (x: string, width: number, group: number): string => {
    const padded = net.op("Pad", [x, net.b.axes([0, 0, 0, 0, 0, 0, 1, 1])]);
    return net.normalized(padded, width, { stride: 2, pad: 0, group });
  };
  const relu6 = (x: string): string => net.op("Clip", [x, net.scalar(0), net.scalar(6)]);
  const channelsLast = (stem: string, size: number, low: number): string =>
    net.parameter(stem, [size], low, 1);
  let x = last(relu6(strided(first("x"), 16, 1)));
  x = net.add(net.mul(x, channelsLast("gamma", 16, 0.5)), channelsLast("beta", 16, -0.2));
  let y = relu6(strided(first(x), 16, 16));
  y = net.normalized(y, 24, { kernel: 1 });
  y = last(net.add(y, net.normalized(net.unit(y, 32), 24)));
  const features = net.op("ReduceMean", [y], { axes: ints([1, 2]), keepdims: int(0) });
  const scores = net.op("MatMul", [features, net.parameter("kernel", [24, 4])]);
  return finished(net, net.op("Softmax", [net.add(scores, net.parameter("bias", [4]))], { axis: int(-1) }));
}

/**
 * As PyTorch 2 exports through torch.export, at opset 18 and later: axes of reductions as inputs, Split into a number of
 * equal parts, Reshape with allowzero, Gelu and GroupNormalization as operators, attributes stated that are the default.
 */
export function dynamoStyle(): ZooNetwork {
  const net = new Layers(62, [3, 16, 16], 21);
  const mean = (x: string, axes: readonly number[]): string =>
    net.op("ReduceMean", [x, net.b.axes(axes)], { keepdims: int(1), noop_with_empty_axes: int(0) });
  const stem = net.op("Gelu", [net.normalized("x", 16, { stride: 2 })]);
  const halves = ["val_1", "val_2"].map((name) => net.b.freshName(name));
  net.b.emit("Split", [stem], { attributes: { axis: int(1), num_outputs: int(2) }, outputs: halves });
  const [left = "", right = ""] = halves;
  const grouped = net.op(
    "GroupNormalization",
    [net.layer(right, 16, { bias: true }), net.parameter("scale", [16], 0.5, 1), net.parameter("bias", [16])],
    { num_groups: int(4), epsilon: float(1e-5), stash_type: int(1) },
  );
  const joined = net.concat([left, net.op("Mish", [grouped])]);
  const excited = net.mul(
    joined,
    net.op("HardSigmoid", [net.layer(mean(joined, [-1, -2]), 24, { kernel: 1 })]),
  );
  const pooled = mean(net.unit(excited, 32, { stride: 2 }), [2, 3]);
  const shape = net.b.constant("val_9", int64Tensor([2], [-1, 32]));
  const rows = net.op("Reshape", [pooled, shape], { allowzero: int(1) });
  return finished(net, net.linear(net.op("Dropout", [rows]), 4));
}

/** As Caffe's networks were converted: LRN, grouped convolutions, Scale as Mul and Add, Dropout, Softmax at the end. */
export function caffeStyle(): ZooNetwork {
  const net = new Layers(63, [3, 31, 31], 13);
  const lrn = (x: string): string =>
    net.op("LRN", [x], { size: int(5), alpha: float(1e-2), beta: float(0.75), bias: float(1) });
  const pool = { kernel: 3, stride: 2 };
  let x = net.relu(net.layer("x", 12, { kernel: 5, stride: 2, pad: 0, bias: true }));
  x = lrn(net.maxPool(x, pool));
  x = lrn(net.relu(net.layer(x, 16, { kernel: 5, group: 2, bias: true })));
  x = net.mul(x, net.parameter("scale", [16, 1, 1], 0.5, 1));
  x = net.relu(net.add(x, net.parameter("shift", [16, 1, 1], -0.2, 0.2)));
  x = net.relu(net.layer(net.maxPool(x, pool), 16, { bias: true }));
  const features = net.op("Flatten", [x], { axis: int(1) });
  const scores = net.linear(net.op("Dropout", [net.relu(net.linear(features, 16))]), 4);
  return finished(net, net.op("Softmax", [scores], { axis: int(1) }));
}
