import { int } from "../../src/graph/attributes.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { elementCount } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { standardOpset } from "../../src/ops/core/definition.js";
import { TypedBuilder } from "../../src/ops/inference/builder.js";
import { inferGraph } from "../../src/ops/inference/infer.js";
import { randomSource } from "../opcase.js";

/**
 * A classifier made of any network [N, ...] -> several float32 [N, ...]: its scores are random weighted sums of all
 * elements of all outputs, so that the cross-entropy's gradient reaches whatever the outputs depend on.
 */
export function withProbe(network: Graph, batch: number, classes = 4): Graph {
  const fixed = fixBatch(network, batch);
  const { types } = inferGraph(fixed);
  const b = new TypedBuilder(standardOpset(fixed), [...types.keys(), ...fixed.initializers.keys()]);
  for (const [name, type] of types) b.declare(name, type);
  const rows = fixed.outputs.map(({ name }) => {
    const features = elementCount(b.dims(name).slice(1));
    return b.emit("Reshape", [name, b.axes([batch, features])]);
  });
  const features = b.emit("Concat", rows, { attributes: { axis: int(1) } });
  const [, count = 1] = b.dims(features);
  const next = randomSource(count);
  const bound = Math.sqrt(12 / count);
  const weights = Float32Array.from({ length: count * classes }, () => bound * (2 * next() - 1));
  const scores = b.emit("MatMul", [features, b.floats("probe", [count, classes], weights)]);
  return {
    ...fixed,
    nodes: [...fixed.nodes, ...b.nodes],
    outputs: [{ name: scores, type: undefined }],
    initializers: new Map([...fixed.initializers, ...b.initializers]),
    valueInfo: new Map(),
  };
}
