import assert from "node:assert/strict";
import { test } from "node:test";
import { compileToWasm } from "../../src/compile/index.js";
import { runGraph } from "../../src/execute/node.js";
import { ints, text } from "../../src/graph/attributes.js";
import { float32Data } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { importModel } from "../../src/ops/passes/import_model.js";
import { graphOf, nodeOf } from "../../support/random_graph.js";
import { randomTensor } from "../../support/small_models.js";
import { runModule } from "../compile/run_wasm.js";

interface Window {
  readonly op: string;
  readonly autoPad: string;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
}

function windowed({ op, autoPad, kernel, stride, dilation }: Window, dims: readonly number[]): Graph {
  const isConv = op.startsWith("Conv");
  const attributes = {
    auto_pad: text(autoPad),
    kernel_shape: ints([kernel, kernel]),
    strides: ints([stride, stride]),
    dilations: ints([dilation, dilation]),
  };
  return graphOf({
    opsets: new Map([["", 19]]),
    inputs: [{ name: "x", type: { elementType: "float32", shape: dims } }],
    outputs: [{ name: "y", type: undefined }],
    nodes: [nodeOf(op, isConv ? ["x", "w"] : ["x"], ["y"], attributes)],
    initializers: new Map(isConv ? [["w", randomTensor([2, 2, kernel, kernel], 3)]] : []),
  });
}

const sizes = [1, 2, 3];
const paddings = ["SAME_UPPER", "SAME_LOWER", "VALID"];
const every = <T>(op: string, use: (window: Window) => T): readonly T[] =>
  paddings.flatMap((autoPad) =>
    sizes.flatMap((dilation) =>
      sizes.flatMap((stride) => [1, 2, 3].map((kernel) => use({ op, autoPad, kernel, stride, dilation }))),
    ),
  );

const isSame = ({ autoPad }: Window): boolean => autoPad.startsWith("SAME");
/** What ONNX Runtime 1.30 does not compute as ONNX says. */
const isDisputed = ({ op, kernel, stride, dilation }: Window): boolean =>
  op.endsWith("Pool") && (dilation > 1 || kernel < stride);
const isNotRun = (window: Window): boolean => window.op === "Conv" && window.dilation > 1 && isSame(window);

/** What ONNX Runtime is to run: the node itself, or the pads that ONNX says it has. */
function reference(window: Window, dims: readonly number[]): Graph {
  const graph = windowed(window, dims);
  if (!isNotRun(window)) return graph;
  const { kernel, stride, dilation, autoPad } = window;
  const totals = dims.slice(2).map((size) => {
    const reach = (Math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1;
    return Math.max(reach - size, 0);
  });
  const smaller = totals.map((total) => Math.floor(total / 2));
  const larger = totals.map((total) => Math.ceil(total / 2));
  const pads = ints(autoPad === "SAME_UPPER" ? [...smaller, ...larger] : [...larger, ...smaller]);
  const nodes = graph.nodes.map((node) => {
    const attributes = new Map([...node.attributes, ["pads", pads] as const]);
    attributes.delete("auto_pad");
    return { ...node, attributes };
  });
  return { ...graph, nodes };
}

for (const op of ["Conv", "ConvTranspose", "MaxPool", "AveragePool"]) {
  test(`automatic pads with strides and dilations as ONNX Runtime has them: ${op}`, async () => {
    for (const window of every(op, (each) => each)) {
      if (isSame(window) && isDisputed(window)) continue;
      for (const dims of [
        [1, 2, 7, 9],
        [1, 2, 12, 10],
      ]) {
        const graph = windowed(window, dims);
        const what = JSON.stringify([window, dims]);
        const x = randomTensor(dims, 5);
        const y = (await runGraph(reference(window, dims), new Map([["x", x]]), { threads: 1 })).get("y");
        assert.ok(y !== undefined);
        assert.deepEqual(inferGraph(importModel(graph)).types.get("y")?.shape, y.dims, what);
        const found = runModule(compileToWasm(graph), new Map([["x", float32Data(x)]])).get("y");
        float32Data(y).forEach((value, at) => {
          assert.ok(Math.abs(value - (found?.[at] ?? Number.NaN)) <= 1e-4, `${what}[${at}]`);
        });
      }
    }
  });
}

test("automatic pads about which runtimes disagree are refused by name", () => {
  for (const op of ["MaxPool", "AveragePool"]) {
    for (const [kernel, stride, dilation] of [
      [3, 1, 2],
      [2, 2, 3],
      [1, 3, 1],
    ] as const) {
      const graph = windowed({ op, autoPad: "SAME_UPPER", kernel, stride, dilation }, [1, 2, 8, 9]);
      assert.throws(() => inferGraph(graph), {
        name: "PenniError",
        code: "unsupported",
        message: new RegExp(`"y/${op}".*runtimes do not agree.*explicit pads`),
      });
    }
  }
});
