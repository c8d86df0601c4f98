import assert from "node:assert/strict";
import { test } from "node:test";
import { loadBackend, targetNames } from "../../src/compile/backends.js";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { runGraph } from "../../src/execute/node.js";
import { int, ints } from "../../src/graph/attributes.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { encodeModel } from "../../src/onnx/write.js";
import { Network } from "../../support/network.js";
import { runModule } from "./run_wasm.js";
import "./self_checked.js";

const SAMPLES = 8192;
const BINS = 36;
const OCTAVES = 5;
const KERNEL = 512;
const FRAMES = 32;

/**
 * A network of the kind that finds notes in sound: a constant-Q transform whose real and imaginary kernels and low-pass
 * filter all octaves share, maps of harmonics that are one map shifted, stacked, and convolutions over them.
 */
function noteFinder(seed: number): { readonly net: Network; readonly graph: Graph } {
  const net = new Network(seed, [1, SAMPLES], 17, [1, 1, SAMPLES]);
  const kernels = ["real", "imaginary"].map((name) => net.parameter(name, [BINS, 1, KERNEL], -0.05, 0.05));
  const lowPass = net.parameter("low_pass", [1, 1, 65], 0, 0.03);
  let sound = "x";
  const octaves = Array.from({ length: OCTAVES }, (_, octave) => {
    const hop = SAMPLES / 2 ** octave / FRAMES;
    const parts = kernels.map((kernel) => {
      // Octaves differ by a frame, as paddings are rounded.
      const pads = [KERNEL / 2, KERNEL / 2 - (octave % 2 === 0 ? hop : 0)];
      const y = net.op("Conv", [sound, kernel], { strides: ints([hop]), pads: ints(pads) });
      return net.op("Mul", [y, y]);
    });
    if (octave + 1 < OCTAVES)
      sound = net.op("Conv", [sound, lowPass], { strides: ints([2]), pads: ints([32, 31]) });
    const magnitude = net.op("Sqrt", [net.op("Add", parts)]);
    return net.op("Slice", [magnitude, net.b.axes([0]), net.b.axes([FRAMES]), net.b.axes([2])]);
  });
  const stacked = net.op("Concat", octaves.toReversed(), { axis: int(1) });
  const map = net.op("Transpose", [net.op("Unsqueeze", [stacked, net.b.axes([1])])], {
    perm: ints([0, 1, 3, 2]),
  });
  const harmonics = [0, 12, 19, 24].map((shift) => {
    const cut = net.op("Slice", [map, net.b.axes([shift]), net.b.axes([BINS * OCTAVES]), net.b.axes([3])]);
    return shift === 0 ? cut : net.op("Pad", [cut, net.b.axes([0, 0, 0, 0, 0, 0, 0, shift])]);
  });
  const all = net.op("Concat", harmonics, { axis: int(1) });
  const first = net.relu(net.conv(all, 8, { kernel: 5, pad: 2, bias: true }));
  const notes = net.op("Sigmoid", [net.conv(first, 1, { kernel: 7, pad: 3, bias: true })]);
  return { net, graph: net.graph([notes]) };
}

test("weights that convolutions of other sizes share are stored once, also packed", async () => {
  const { net, graph } = noteFinder(3);
  const modelBytes = encodeModel(graph).length;
  for (const target of targetNames) {
    const { weights } = compileProgram(graph, (await loadBackend(target)).target);
    // Beside the weights themselves: where the taps of a kernel lie at each octave's stride.
    assert.ok(weights.length < 1.15 * modelBytes, `${target}: ${weights.length} of ${modelBytes}`);
  }
  const module = wasmModule(compileProgram(graph, wasmTarget));
  assert.ok(module.length < 2 * modelBytes, `${module.length} bytes of WebAssembly, ${modelBytes} of ONNX`);
  const feeds = net.feeds(1);
  const [expected] = (await runGraph(graph, feeds)).values();
  const [found] = runModule(module, new Map([...feeds].map(([name, x]) => [name, float32Data(x)]))).values();
  const differences =
    expected === undefined
      ? []
      : [...float32Data(expected)].map((y, at) => Math.abs(y - (found?.[at] ?? Number.NaN)));
  assert.equal(differences.length, found?.length);
  assert.ok(
    differences.every((difference) => difference <= 1e-4),
    `off by ${Math.max(...differences)}`,
  );
});
