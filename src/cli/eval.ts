import type { Command } from "commander";
import type { ImageSize } from "../data/dataset.js";
import type { Device } from "../execute/device.js";
import type { Accuracy } from "../measure/accuracy.js";
import {
  deviceOption,
  type InputShapes,
  imageSize,
  inputShape,
  naming,
  numberList,
  positiveList,
  wholeNumber,
} from "./options.js";
import { progressBar } from "./progress.js";
import type { Terminal } from "./terminal.js";

interface EvalOptions {
  readonly data: string;
  readonly split: "test" | "train";
  readonly limit?: number;
  readonly batch?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly imageSize?: ImageSize;
  readonly inputShape?: InputShapes;
  readonly device: Device;
  readonly json?: boolean;
}

/** `penni eval`: top-1 accuracy of a classifier. */
export function addEvalCommand(program: Command, terminal: Terminal): Command {
  return program
    .command("eval")
    .description("measure the top-1 accuracy of a classifier in ONNX Runtime")
    .argument("<model>", "an .onnx file")
    .requiredOption("--data <spec>", "the images: cifar10:DIRECTORY, folder:DIRECTORY or synthetic")
    .addOption(
      program.createOption("--split <name>", "which images").choices(["test", "train"]).default("test"),
    )
    .option("--limit <n>", "only the first n images", wholeNumber(1))
    .option("--batch <n>", "images in a batch", wholeNumber(1))
    .option(
      "--mean <r,g,b>",
      "mean per channel, of pixels from 0 to 1 (default: the model's metadata, or ImageNet's)",
      numberList,
    )
    .option("--std <r,g,b>", "standard deviation per channel, likewise", positiveList)
    .option("--image-size <WxH>", "size of the images where the model leaves it open", imageSize)
    .option("--input-shape <NAME:DIMS>", "the same as dimensions of an input, as input:1x3x32x32", inputShape)
    .addOption(deviceOption("where the model runs"))
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: EvalOptions) => {
      const result = await evaluateFile(model, options, terminal);
      const text = options.json === true ? JSON.stringify({ model, ...result }) : describeAccuracy(result);
      terminal.stdout.write(`${text}\n`);
    });
}

async function evaluateFile(model: string, options: EvalOptions, terminal: Terminal): Promise<Accuracy> {
  const [{ resolveDevice }, { readModel }, { specializeInputs }, data, measure] = await Promise.all([
    import("../execute/resolve.js"),
    import("../onnx/files.js"),
    import("../graph/passes/fix_input_shape.js"),
    import("../data/index.js"),
    import("../measure/accuracy.js"),
  ]);
  const { provider } = await resolveDevice(options.device);
  const given = await readModel(model);
  const graph = await naming(model, async () => specializeInputs(given, options.inputShape ?? new Map()));
  const stated = data.readPreprocessing(graph.metadata) ?? data.imagenetPreprocessing;
  const preprocessing = data.overridePreprocessing(stated, options);
  const size = measure.inputImageSize(graph) ?? options.imageSize;
  const dataset = await data.openDataset(options.data, size === undefined ? {} : { imageSize: size });
  await naming(model, async () => measure.classifierInterface(graph, dataset));
  const split = await dataset[options.split]();
  const bar = progressBar(terminal.stderr, "images");
  try {
    const settings = {
      indices: data.allIndices(split).subarray(0, options.limit),
      ...(options.batch === undefined ? {} : { batch: options.batch }),
      onProgress: bar.update,
      provider,
    };
    return await naming(model, () => measure.evaluate(graph, split, preprocessing, settings));
  } finally {
    bar.stop();
  }
}

function describeAccuracy({ correct, total, top1, seconds }: Accuracy): string {
  const rate = seconds > 0 ? `, ${Math.round(total / seconds)} images/s` : "";
  return `top-1 ${(100 * top1).toFixed(2)} % (${correct} of ${total}) in ${seconds.toFixed(1)} s${rate}`;
}
