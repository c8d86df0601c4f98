/**
 * Images per second of one training step (forward, backward, update) of a model, undecomposed:
 * `npm run build && node dist/bench/train-step.js MODEL [BATCH] [STEPS]`
 */
import { Tensor as OrtTensor } from "onnxruntime-common";
import { openSession } from "../src/execute/node.js";
import { fixBatch } from "../src/graph/passes/fix_input_shape.js";
import { float32Data } from "../src/graph/tensor.js";
import { trainableParameters } from "../src/method/parameters.js";
import { readModel } from "../src/onnx/files.js";
import { simplify } from "../src/ops/passes/simplify.js";
import { buildTrainingStep, imageInput } from "../src/train/step.js";

const [file = "../shared/models/resnet20.onnx", batchText = "128", stepsText = "10"] = process.argv.slice(2);
const batch = Number(batchText);
const network = simplify(fixBatch(await readModel(file), batch));
const rule = { l1: "none", masked: false, rate: 1 } as const;
const trained = new Map([...trainableParameters(network).keys()].map((name) => [name, rule]));
const statistics = network.nodes
  .filter((n) => n.op === "BatchNormalization")
  .flatMap((n) => n.inputs.slice(3, 5));
const step = buildTrainingStep(network, new Set([...trained.keys(), ...statistics]), {
  trained,
  batchNormalization: "batch",
  loss: { crossEntropy: 1, labelSmoothing: 0, distillation: 0, temperature: 1 },
  optimizer: { momentum: 0.9, weightDecay: 1e-4 },
});
const feeds: Record<string, OrtTensor> = {};
for (const { name, type } of step.graph.inputs) {
  const dims = (type?.shape ?? []).map(Number);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const tensor = network.initializers.get(name);
  if (type?.elementType === "int64") feeds[name] = new OrtTensor("int64", new BigInt64Array(size), dims);
  else if (tensor !== undefined)
    feeds[name] = new OrtTensor("float32", Float32Array.from(float32Data(tensor)), dims);
  else
    feeds[name] = new OrtTensor(
      "float32",
      new Float32Array(size).fill(name === imageInput(network).name ? 0.1 : 0),
      dims,
    );
}
const session = await openSession(step.graph);
const times: number[] = [];
for (let index = 0; index < Number(stepsText) + 2; index++) {
  const start = performance.now();
  await session.run(feeds);
  if (index >= 2) times.push(performance.now() - start);
}
const median = times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
console.log(
  `${file}: ${median.toFixed(0)} ms a step, ${((1000 * batch) / median).toFixed(0)} images/s, ${step.graph.nodes.length} nodes`,
);
