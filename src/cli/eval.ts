import type { Command } from "commander";
import type { Device } from "../execute/device.js";
import { orDefault } from "../graph/at.js";
import { naming } from "../graph/naming.js";
import type { Accuracy } from "../measure/accuracy.js";
import { GUESSING_CAUSES, mayBeGuessing } from "../measure/guessing.js";
import type { Interval } from "../measure/interval.js";
import { terminalJson } from "../text/destinations.js";
import { addExamples, type Example, headings } from "./help.js";
import { addImageOptions, type ImageOptions, openModelAndImages } from "./model_and_images.js";
import { deviceOption, wholeNumber } from "./options.js";
import { printPictures, warnOfPictures } from "./pictures.js";
import { progressBar } from "./progress.js";
import type { Terminal } from "./terminal.js";

interface EvalOptions extends ImageOptions {
  readonly split: "test" | "train";
  readonly limit?: number;
  readonly device: Device;
  readonly json?: boolean;
}

/** An accuracy, and where that of all such images lies with 95 % confidence. */
interface Evaluation extends Accuracy {
  readonly interval: Interval;
  /** That the model scores; absent where its shapes do not say so. */
  readonly classes?: number;
}

/** `penni eval`: top-1 accuracy of a classifier. */
export function addEvalCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("eval")
    .description("measure the top-1 accuracy of a classifier in ONNX Runtime")
    .argument("<model>", "an .onnx file")
    .optionsGroup(headings.data)
    .addOption(
      program.createOption("--split <name>", "which images").choices(["test", "train"]).default("test"),
    )
    .option("--limit <n>", "only the first n images (default: all)", wholeNumber(1));
  addImageOptions(command)
    .optionsGroup(headings.work)
    .addOption(deviceOption("where the model runs"))
    .optionsGroup(headings.output)
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: EvalOptions) => {
      const result = await evaluateFile(model, options, terminal);
      if (result.undecided > 0) terminal.stderr.write(describeUndecided(result.undecided, result.total));
      terminal.stderr.write(guessingWarning(result));
      const text = options.json === true ? terminalJson({ model, ...result }) : describeAccuracy(result);
      terminal.stdout.write(`${text}\n`);
    });
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  { what: "pictures in a folder for each class:", words: ["eval", "net.onnx", "--data folder:photos"] },
  {
    what: "the first 500 test images of CIFAR-10:",
    words: ["eval", "net.onnx", "--data cifar10:cifar", "--limit 500"],
  },
];

async function evaluateFile(model: string, options: EvalOptions, terminal: Terminal): Promise<Evaluation> {
  const [
    { resolveDevice },
    { allIndices },
    { evaluate, expectImages },
    { shareInterval },
    { scoredClasses },
  ] = await Promise.all([
    import("../execute/resolve.js"),
    import("../data/batches.js"),
    import("../measure/accuracy.js"),
    import("../measure/interval.js"),
    import("../measure/classes.js"),
  ]);
  const { provider } = await resolveDevice(options.device);
  const opened = await openModelAndImages(model, options, () => true);
  const { graph, dataset, preprocessing, format } = opened;
  const split = await dataset[options.split]();
  expectImages(split.count, options.split === "test" ? "test images" : "training images");
  await printPictures(terminal.stderr, format);
  for (const line of orDefault(dataset.notices, [])) terminal.stderr.write(`${line}\n`);
  await warnOfPictures(terminal.stderr, graph, split, preprocessing);
  const bar = progressBar(terminal.stderr, "images");
  try {
    const settings = {
      indices: allIndices(split).subarray(0, options.limit),
      ...(options.batch === undefined ? {} : { batch: options.batch }),
      onProgress: bar.update,
      provider,
    };
    const accuracy = await naming(model, () => evaluate(graph, split, preprocessing, settings));
    const classes = scoredClasses(graph)?.classes;
    return {
      ...accuracy,
      interval: shareInterval(accuracy.correct, accuracy.total),
      ...(classes === undefined ? {} : { classes }),
    };
  } finally {
    bar.stop();
  }
}

/** A line that ends, or nothing. */
function guessingWarning({ classes, ...accuracy }: Evaluation): string {
  if (classes === undefined || !mayBeGuessing(accuracy, classes)) return "";
  return `warning: so many are right by guessing among ${classes} classes: ${GUESSING_CAUSES}\n`;
}

function describeUndecided(undecided: number, total: number): string {
  return (
    `warning: ${undecided} of ${total} images have scores that are not numbers (NaN) and count as wrong: check the ` +
    "network's weights, and --mean, --std and --scale\n"
  );
}

function describeAccuracy({ correct, total, top1, seconds, interval }: Evaluation): string {
  const rate = seconds > 0 ? `, ${Math.round(total / seconds)} images/s` : "";
  const [low, high] = [interval.low, interval.high].map((share) => (100 * share).toFixed(2));
  return (
    `top-1 ${(100 * top1).toFixed(2)} % (${correct} of ${total}) in ${seconds.toFixed(1)} s${rate}\n` +
    `between ${low} and ${high} % with 95 % confidence`
  );
}
