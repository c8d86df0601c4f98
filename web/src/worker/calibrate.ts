import { allIndices } from "../../../src/data/batches.js";
import type { Split } from "../../../src/data/dataset.js";
import { PenniError } from "../../../src/graph/errors.js";
import { NodeCalibration } from "../../../src/measure/calibration.js";
import { type CalibrationProgress, calibrate } from "../../../src/method/calibrate.js";
import { mergeDecompositions } from "../../../src/method/merge_decompositions.js";
import { encodeModel } from "../../../src/onnx/write.js";
import type { Network, PictureInput } from "../model/network.js";
import { generatedPictures } from "../model/pictures.js";
import type { CalibrateCalls } from "./calibrate_calls.js";
import { decodePictures } from "./decode_pictures.js";
import type { Model } from "./network_calls.js";
import { openModel } from "./read_file.js";
import { type Progress, type Report, serve } from "./rpc.js";
import type { PictureSource } from "./runtime_calls.js";

async function open(model: Model, report: Report): Promise<Network> {
  const found = await openModel(model, report);
  if (found.kind === "network") return found.network;
  throw new Error("the sizes of the network's inputs are not chosen");
}

async function picturesFrom(source: PictureSource, input: PictureInput, report: Report): Promise<Split> {
  return source.kind === "generated"
    ? generatedPictures(input, source.count, 1)
    : await decodePictures(source.files, input, report);
}

function inWords({ step, done, total, layer, share, secondsLeft }: CalibrationProgress): Progress {
  const doing = step === "analyse" ? "Looking at" : "Fitting";
  return { text: `${doing} layer ${Math.min(done + 1, total)} of ${total} (${layer})`, share, secondsLeft };
}

serve<CalibrateCalls>({
  async calibrate({ model, pictures, fraction }, report) {
    const { graph, pictures: input } = await open(model, report);
    if (input === undefined) {
      throw new PenniError("unsupported", "only networks that take pictures can be calibrated here", {
        advice: "In Node, calibrate() of penni takes other data",
      });
    }
    const split = await picturesFrom(pictures, input, report);
    // Layers that came decomposed go on from their own bases.
    const { graph: merged, factors } = mergeDecompositions(graph);
    const runtime = await NodeCalibration.open(merged, {
      split,
      indices: allIndices(split),
      preprocessing: input.format.preprocessing,
      threads: 1,
    });
    const onProgress = (progress: CalibrationProgress): void => report(inWords(progress));
    try {
      const result = await calibrate(merged, runtime, { basis: "auto", fraction, factors, onProgress });
      return { bytes: encodeModel(result.graph), pictures: split.count };
    } finally {
      await runtime.release();
    }
  },
});
