import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { ImageSize } from "../data/dataset.js";
import type { Device } from "../execute/device.js";
import type { Sensitivity } from "../method/sensitivity.js";
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
import { describeSensitivity } from "./sensitivity_text.js";
import { lineWidth, type Terminal } from "./terminal.js";
import { watched } from "./watched.js";

interface SensitivityOptions {
  readonly data: string;
  readonly images: number;
  readonly layers?: readonly string[];
  readonly basis: number;
  readonly ranks?: readonly number[];
  readonly sparsity?: readonly number[];
  readonly labels: boolean;
  readonly seed: number;
  readonly batch?: number;
  readonly threads?: number;
  readonly device: Device;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly imageSize?: ImageSize;
  readonly inputShape?: InputShapes;
  readonly out?: string;
  readonly report?: string;
  readonly json?: boolean;
}

/** `penni sensitivity`: what becomes of the network when a single layer is compressed. */
export function addSensitivityCommand(program: Command, terminal: Terminal): Command {
  return program
    .command("sensitivity")
    .description("measure, layer by layer, how much accuracy few basis kernels or coefficients cost")
    .argument("<model>", "an .onnx file")
    .requiredOption("--data <spec>", "the images: cifar10:DIRECTORY, folder:DIRECTORY or synthetic")
    .option("--images <n>", "how many of the training images, drawn at random", wholeNumber(1), 256)
    .option("--layers <names>", 'only these layers, with commas between; "*" stands for anything', nameList)
    .option("--basis <d>", "basis kernels of layers that lose coefficients", wholeNumber(1), 5)
    .option("--ranks <list>", "numbers of basis kernels to try (default: 1 to 9, then some)", countList)
    .option("--sparsity <list>", "shares of coefficients to remove (default: 0.25,0.5,0.75,0.9)", shareList)
    .option("--no-labels", "compare outputs with the original's even where the images have labels")
    .option("--seed <n>", "seed of the choice of images", wholeNumber(0), 0)
    .option("--batch <n>", "images in a batch", wholeNumber(1))
    .option("--threads <n>", "threads of the runtime (default: one per core)", wholeNumber(1))
    .addOption(deviceOption("where the model runs"))
    .option(
      "--mean <r,g,b>",
      "mean per channel, of pixels from 0 to 1 (default: the model's metadata, or ImageNet's)",
      numberList,
    )
    .option("--std <r,g,b>", "standard deviation per channel, likewise", positiveList)
    .option("--image-size <WxH>", "size of the images where the model leaves it open", imageSize)
    .option("--input-shape <NAME:DIMS>", "the same as dimensions of an input, as input:1x3x32x32", inputShape)
    .option("-o, --out <dir>", "write sensitivity.json and sensitivity.html into this directory")
    .option("--report <file>", "write the report with pictures, an HTML file")
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: SensitivityOptions) => {
      await prepareDirectories(options);
      const result = await watched(terminal.stderr, ({ images }, signal) =>
        measureFile(model, options, signal, (done, total) => images?.("measuring", done, total)),
      );
      const json = JSON.stringify(
        { model, basis: options.basis, seed: options.seed, ...result },
        undefined,
        2,
      );
      await writeReports(model, options, result, json);
      const text = options.json === true ? json : describeSensitivity(result, lineWidth(terminal.stdout));
      terminal.stdout.write(`${text}\n`);
    });
}

/** Parser of an option that is a list of names with commas between. */
function nameList(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => name !== "")) return names;
  throw new InvalidArgumentError(`expected names with commas between, found "${text}"`);
}

function countList(text: string): readonly number[] {
  const counts = numberList(text);
  if (counts.every((count) => Number.isSafeInteger(count) && count >= 1)) return counts;
  throw new InvalidArgumentError(`expected whole numbers from 1 with commas between, found "${text}"`);
}

function shareList(text: string): readonly number[] {
  const shares = numberList(text);
  if (shares.every((share) => share > 0 && share < 1)) return shares;
  throw new InvalidArgumentError(`expected numbers between 0 and 1 with commas between, found "${text}"`);
}

/** Before anything is measured, so that a place that cannot be written is known in time. */
async function prepareDirectories({ out, report }: SensitivityOptions): Promise<void> {
  if (out !== undefined && !existsSync(out)) await onDirectory(out, () => mkdir(out));
  for (const directory of [
    ...(out === undefined ? [] : [out]),
    ...(report === undefined ? [] : [path.dirname(report)]),
  ]) {
    // Entries can be listed of directories only.
    await onDirectory(directory, () => readdir(directory));
  }
}

async function onDirectory(directory: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { ioError } = await import("../onnx/atomic.js");
    throw ioError(directory, "cannot write into the directory", error);
  }
}

async function measureFile(
  model: string,
  options: SensitivityOptions,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<Sensitivity> {
  const [{ resolveDevice }, { readModel }, { specializeInputs }, { importModel }, data, accuracy, method] =
    await Promise.all([
      import("../execute/resolve.js"),
      import("../onnx/files.js"),
      import("../graph/passes/fix_input_shape.js"),
      import("../ops/passes/import_model.js"),
      import("../data/index.js"),
      import("../measure/accuracy.js"),
      import("../method/sensitivity.js"),
    ]);
  const { provider } = await resolveDevice(options.device);
  const given = await readModel(model);
  const original = await naming(model, async () => specializeInputs(given, options.inputShape ?? new Map()));
  const stated = data.readPreprocessing(original.metadata) ?? data.imagenetPreprocessing;
  const preprocessing = data.overridePreprocessing(stated, options);
  const size = accuracy.inputImageSize(original) ?? options.imageSize;
  const dataset = await data.openDataset(options.data, size === undefined ? {} : { imageSize: size });
  return naming(model, async () => {
    accuracy.classifierInterface(original, dataset);
    const graph = importModel(original);
    const { images, basis, labels, seed, layers, ranks, sparsity, batch, threads } = options;
    return method.measureSensitivity(graph, await dataset.train(), preprocessing, {
      images,
      basis,
      labels,
      seed,
      provider,
      signal,
      onProgress,
      ...(layers === undefined ? {} : { layers }),
      ...(ranks === undefined ? {} : { ranks }),
      ...(sparsity === undefined ? {} : { sparsities: sparsity }),
      ...(batch === undefined ? {} : { batch }),
      ...(threads === undefined ? {} : { threads }),
    });
  });
}

async function writeReports(
  model: string,
  { out, report }: SensitivityOptions,
  result: Sensitivity,
  json: string,
): Promise<void> {
  const pages = [
    ...(out === undefined ? [] : [path.join(out, "sensitivity.html")]),
    ...(report === undefined ? [] : [report]),
  ];
  if (pages.length === 0) return;
  const [{ writeFileAtomic }, { sensitivityPage }] = await Promise.all([
    import("../onnx/atomic.js"),
    import("../report/sensitivity.js"),
  ]);
  const html = sensitivityPage(path.basename(model), result);
  for (const file of pages) await writeFileAtomic(file, html);
  if (out !== undefined) await writeFileAtomic(path.join(out, "sensitivity.json"), `${json}\n`);
}
