/**
 * Trains the network that the playground brings along, from nothing, on generated images: `npm run --workspace web example`
 * (after `npm run build`; a few minutes). The same file on the same kind of machine.
 */
import { fileURLToPath } from "node:url";
import { patternNames } from "../../dist/src/data/synthetic_patterns.js";
import { evaluate, openDataset, simplify, train, writeModel } from "../../dist/src/index.js";
import { demoNetwork, demoPreprocessing } from "../../dist/src/networks/demo.js";

const DATA = "synthetic";
const SEED = 0;

const network = demoNetwork({ classes: patternNames.length, seed: SEED });
const trained = await train(network, {
  data: DATA,
  epochs: 8,
  schedule: { kind: "one-cycle", peak: 0.1, warmUp: 0.15, fall: "linear" },
  batch: 64,
  seed: SEED,
  // A mirrored rising stripe is a falling one.
  augmentation: { padding: 2, flip: false },
  listener: { epoch: (metrics) => console.log(JSON.stringify(metrics)) },
});
const graph = simplify({
  ...trained,
  name: "patterns",
  metadata: new Map([...trained.metadata, ["penni.classNames", JSON.stringify(patternNames)]]),
});
await writeModel(fileURLToPath(new URL("../src/example/patterns.onnx", import.meta.url)), graph);
const split = await (await openDataset(DATA, { preprocessing: demoPreprocessing })).test();
const { correct, total } = await evaluate(graph, split, demoPreprocessing);
console.log(`top-1 on ${total} images: ${((100 * correct) / total).toFixed(2)} %`);
