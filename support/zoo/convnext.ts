import { int, ints } from "../../src/graph/attributes.js";
import { finished, Layers, type ZooNetwork } from "./layers.js";

/** How the exporter writes LayerNorm: before opset 17 in single steps. */
export type LayerNormForm = "steps" | "operator";

/** Normalization over the last axis, of the given size. */
function layerNorm(net: Layers, x: string, channels: number, form: LayerNormForm): string {
  const scale = net.parameter("norm.weight", [channels], 0.5, 1.5);
  const shift = net.parameter("norm.bias", [channels], -0.2, 0.2);
  if (form === "operator") return net.op("LayerNormalization", [x, scale, shift], { axis: int(-1) });
  const mean = (value: string): string => net.op("ReduceMean", [value], { axes: ints([-1]) });
  const centered = net.op("Sub", [x, mean(x)]);
  const variance = mean(net.op("Pow", [centered, net.scalar(2)]));
  const deviation = net.op("Sqrt", [net.add(variance, net.scalar(1e-6))]);
  return net.add(net.mul(net.op("Div", [centered, deviation]), scale), shift);
}

/** `nn.Linear` on a value of rank 4: MatMul with the weight transposed beforehand, then Add. */
function linearLast(net: Layers, x: string, inputs: number, outputs: number): string {
  const bound = Math.sqrt(6 / inputs);
  const product = net.op("MatMul", [x, net.parameter("linear.weight", [inputs, outputs], -bound, bound)]);
  return net.add(net.parameter("linear.bias", [outputs], -0.2, 0.2), product);
}

/** GELU, which the exporter writes as x · (1 + erf(x / √2)) · 0.5. */
function gelu(net: Layers, x: string): string {
  const erf = net.op("Erf", [net.op("Div", [x, net.scalar(Math.SQRT2)])]);
  return net.mul(net.mul(x, net.add(erf, net.scalar(1))), net.scalar(0.5));
}

/**
 * ConvNeXt (Liu et al. 2022): a stem of patches, 7x7 depthwise kernels, then channels last for LayerNorm and two linear
 * layers around GELU, layer scale and a residual; LayerNorm over channels between Transposes before reductions.
 */
export function convnext(form: LayerNormForm): ZooNetwork {
  const net = new Layers(41, [3, 16, 16]);
  const channelNorm = (x: string): string =>
    net.transpose(layerNorm(net, net.transpose(x, [0, 2, 3, 1]), net.channels(x), form), [0, 3, 1, 2]);
  const block = (x: string): string => {
    const channels = net.channels(x);
    const depthwise = net.layer(x, channels, { kernel: 7, group: channels, bias: true });
    const rows = layerNorm(net, net.transpose(depthwise, [0, 2, 3, 1]), channels, form);
    const hidden = gelu(net, linearLast(net, rows, channels, 4 * channels));
    const y = net.transpose(linearLast(net, hidden, 4 * channels, channels), [0, 3, 1, 2]);
    return net.add(net.mul(net.parameter("layer_scale", [channels, 1, 1], 0.2, 1), y), x);
  };
  let x = channelNorm(net.layer("x", 12, { kernel: 4, stride: 4, pad: 0, bias: true }));
  x = net.layer(channelNorm(block(x)), 16, { kernel: 2, stride: 2, pad: 0, bias: true });
  x = channelNorm(net.globalPool(block(x)));
  return finished(net, net.linear(net.op("Flatten", [x], { axis: int(1) }), 4));
}
