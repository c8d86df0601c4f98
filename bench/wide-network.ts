/**
 * Trains the wide network on which `bench/shrink-training.ts` shows what shrinking buys (eight convolutions of up to
 * 256 channels, CIFAR-10) and writes it: `node dist/bench/wide-network.js OUT.onnx DATA [EPOCHS]`.
 */

import { writeModel } from "../src/files/model_files.js";
import { ints } from "../src/graph/attributes.js";
import { ClassifierBuilder } from "../src/networks/classifier_builder.js";
import { train } from "../src/run/train.js";

const WIDTHS = [32, 64, 128, 256];

const [out, data, epochs = "8"] = process.argv.slice(2);
if (out === undefined || data === undefined)
  throw new RangeError("usage: wide-network.js OUT.onnx DATA [EPOCHS]");

const net = new ClassifierBuilder(1);
let x = net.images();
let channels = 3;
WIDTHS.forEach((width, stage) => {
  for (const unit of ["a", "b"]) {
    x = net.convUnit(`stage${stage}${unit}`, x, { inputs: channels, outputs: width });
    channels = width;
  }
  if (stage === WIDTHS.length - 1) return;
  x = net.b.emit("MaxPool", [x], { attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) } });
});
const network = net.classifier(x, { name: "wide", features: channels, classes: 10 });
const trained = await train(network, {
  data,
  epochs: Number(epochs),
  schedule: { kind: "cosine", initial: 0.05 },
  listener: {
    epoch: ({ epoch, loss, accuracy, validation }) =>
      console.log(
        `epoch ${epoch}: loss ${loss.toFixed(3)}, top-1 ${accuracy?.toFixed(3)}, validation ${validation}`,
      ),
  },
});
await writeModel(out, trained);
