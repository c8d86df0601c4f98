import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { Device } from "../execute/device.js";
import { orDefault } from "../graph/at.js";
import { naming } from "../graph/naming.js";
import { compressionDefaults } from "../method/defaults.js";
import type { Sensitivity } from "../method/sensitivity.js";
import { terminalJson } from "../text/destinations.js";
import { addExamples, type Example, headings } from "./help.js";
import { addImageOptions, type ImageOptions, openModelAndImages } from "./model_and_images.js";
import { deviceOption, numberList, wholeNumber } from "./options.js";
import { printPictures, warnOfPictures } from "./pictures.js";
import type { RunView } from "./run_view.js";
import { describeSensitivity } from "./sensitivity_text.js";
import { lineWidth, type Output, type Terminal } from "./terminal.js";
import { watched } from "./watched.js";

interface SensitivityOptions extends ImageOptions {
  readonly images: number;
  readonly layers?: readonly string[];
  readonly basis: number;
  readonly ranks?: readonly number[];
  readonly sparsity?: readonly number[];
  readonly labels: boolean;
  readonly seed: number;
  readonly threads?: number;
  readonly device: Device;
  readonly out?: string;
  readonly report?: string;
  readonly json?: boolean;
}

/** `penni sensitivity`: what becomes of the network when a single layer is compressed. */
export function addSensitivityCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("sensitivity")
    .description("measure, layer by layer, how much accuracy few basis kernels or coefficients cost")
    .argument("<model>", "an .onnx file")
    .optionsGroup("What to try:")
    .option("--layers <names>", 'only these layers, with commas between; "*" stands for anything', nameList)
    .option(
      "--basis <d>",
      "basis kernels of layers that lose coefficients",
      wholeNumber(1),
      compressionDefaults.basis,
    )
    .option("--ranks <list>", "numbers of basis kernels to try (default: 1 to 9, then some)", countList)
    .option("--sparsity <list>", "shares of coefficients to remove (default: 0.25,0.5,0.75,0.9)", shareList)
    .optionsGroup(headings.data)
    .option("--images <n>", "how many of the training images, drawn at random", wholeNumber(1), 256)
    .option("--no-labels", "compare outputs with the original's even where the images have labels")
    .option("--seed <n>", "seed of the choice of images", wholeNumber(0), 0);
  addImageOptions(command)
    .optionsGroup(headings.work)
    .option("--threads <n>", "threads of the runtime (default: one per core)", wholeNumber(1))
    .addOption(deviceOption("where the model runs"))
    .optionsGroup(headings.output)
    .option("-o, --out <dir>", "write sensitivity.json and sensitivity.html into this directory")
    .option("--report <file>", "write the report with pictures, an HTML file")
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: SensitivityOptions) => {
      await prepareDirectories(options);
      const result = await watched(terminal.stderr, (view, signal) =>
        measureFile(model, options, signal, view, terminal.stderr),
      );
      const json = terminalJson({ model, basis: options.basis, seed: options.seed, ...result }, 2);
      const text = options.json === true ? json : describeSensitivity(result, lineWidth(terminal.stdout));
      // First, so that what was measured is not lost where the report cannot be written.
      terminal.stdout.write(`${text}\n`);
      await writeReports(model, options, result, json);
    });
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  {
    what: "a page with a recommendation for each layer:",
    words: ["sensitivity", "net.onnx", "--data images:photos", "--report sensitivity.html"],
  },
  {
    what: "one block, two sizes of the basis:",
    words: ["sensitivity", "net.onnx", "--data folder:photos", '--layers "layer3*"', "--ranks 3,5"],
  },
];

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
  const { checkDirectoryPath } = await import("../files/directories.js");
  if (out !== undefined) checkDirectoryPath(out);
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
    const { ioError } = await import("../files/atomic.js");
    throw ioError(directory, "cannot write into the directory", error);
  }
}

async function measureFile(
  model: string,
  options: SensitivityOptions,
  signal: AbortSignal,
  view: RunView,
  notices: Output,
): Promise<Sensitivity> {
  const [{ resolveDevice }, { mayScoreClasses }, { importForCompression }, { measureSensitivity }] =
    await Promise.all([
      import("../execute/resolve.js"),
      import("../measure/classes.js"),
      import("../method/import_for_compression.js"),
      import("../method/sensitivity.js"),
    ]);
  const { provider } = await resolveDevice(options.device);
  const opened = await openModelAndImages(
    model,
    options,
    (graph) => options.labels && mayScoreClasses(graph),
  );
  const { graph: original, dataset, preprocessing, format } = opened;
  await printPictures(notices, format);
  for (const line of orDefault(dataset.notices, [])) view.notice?.(line);
  return naming(model, async () => {
    const graph = importForCompression(original);
    const split = await dataset.train();
    await warnOfPictures(notices, graph, split, preprocessing);
    const { images, basis, labels, seed, layers, ranks, sparsity, batch, threads } = options;
    return measureSensitivity(graph, split, preprocessing, {
      images,
      basis,
      labels,
      seed,
      provider,
      signal,
      onProgress: (done, total) => view.images?.("measuring", done, total),
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
  { out, report, data }: SensitivityOptions,
  result: Sensitivity,
  json: string,
): Promise<void> {
  const pages = [
    ...(out === undefined ? [] : [path.join(out, "sensitivity.html")]),
    ...(report === undefined ? [] : [report]),
  ];
  if (pages.length === 0) return;
  const [{ writeFileAtomic }, { sensitivityPage }] = await Promise.all([
    import("../files/atomic.js"),
    import("../report/sensitivity.js"),
  ]);
  const html = sensitivityPage(path.basename(model), result, { model, data });
  for (const file of pages) await writeFileAtomic(file, html);
  if (out !== undefined) await writeFileAtomic(path.join(out, "sensitivity.json"), `${json}\n`);
}
