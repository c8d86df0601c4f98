import type { Command } from "commander";
import type { Device } from "../execute/device.js";
import type { Accuracy } from "../measure/accuracy.js";
import { addImageOptions, type ImageOptions, openModelAndImages } from "./model_and_images.js";
import { deviceOption, naming, wholeNumber } from "./options.js";
import { printPictures, warnOfPictures } from "./pictures.js";
import { progressBar } from "./progress.js";
import type { Terminal } from "./terminal.js";

interface EvalOptions extends ImageOptions {
  readonly split: "test" | "train";
  readonly limit?: number;
  readonly device: Device;
  readonly json?: boolean;
}

/** `penni eval`: top-1 accuracy of a classifier. */
export function addEvalCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("eval")
    .description("measure the top-1 accuracy of a classifier in ONNX Runtime")
    .argument("<model>", "an .onnx file")
    .addOption(
      program.createOption("--split <name>", "which images").choices(["test", "train"]).default("test"),
    )
    .option("--limit <n>", "only the first n images", wholeNumber(1));
  return addImageOptions(command)
    .addOption(deviceOption("where the model runs"))
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: EvalOptions) => {
      const result = await evaluateFile(model, options, terminal);
      const text = options.json === true ? JSON.stringify({ model, ...result }) : describeAccuracy(result);
      terminal.stdout.write(`${text}\n`);
    });
}

async function evaluateFile(model: string, options: EvalOptions, terminal: Terminal): Promise<Accuracy> {
  const [{ resolveDevice }, { allIndices }, { evaluate }] = await Promise.all([
    import("../execute/resolve.js"),
    import("../data/batches.js"),
    import("../measure/accuracy.js"),
  ]);
  const { provider } = await resolveDevice(options.device);
  const { graph, dataset, preprocessing, format } = await openModelAndImages(model, options);
  const split = await dataset[options.split]();
  await printPictures(terminal.stderr, format);
  await warnOfPictures(terminal.stderr, graph, split, preprocessing);
  const bar = progressBar(terminal.stderr, "images");
  try {
    const settings = {
      indices: allIndices(split).subarray(0, options.limit),
      ...(options.batch === undefined ? {} : { batch: options.batch }),
      onProgress: bar.update,
      provider,
    };
    return await naming(model, () => evaluate(graph, split, preprocessing, settings));
  } finally {
    bar.stop();
  }
}

function describeAccuracy({ correct, total, top1, seconds }: Accuracy): string {
  const rate = seconds > 0 ? `, ${Math.round(total / seconds)} images/s` : "";
  return `top-1 ${(100 * top1).toFixed(2)} % (${correct} of ${total}) in ${seconds.toFixed(1)} s${rate}`;
}
