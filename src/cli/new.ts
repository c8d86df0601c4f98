import { Argument, type Command, InvalidArgumentError } from "commander";
import { type NetworkName, networkNames } from "../networks/names.js";
import { addExamples, type Example, headings } from "./help.js";
import { givenPictureOptions, numberList, positiveList, wholeNumber, wholeSize } from "./options.js";
import { compactNumber } from "./table.js";
import type { Terminal } from "./terminal.js";

interface NewOptions {
  readonly classes: number;
  readonly input: readonly [number, number, number];
  readonly out: string;
  readonly seed: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

/** `penni new`: an untrained network. */
export function addNewCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("new")
    .description("write an untrained network, to be trained with penni train")
    .addArgument(new Argument("<network>", "which").choices(networkNames))
    .optionsGroup(headings.result)
    .requiredOption("--classes <n>", "how many classes it tells apart", wholeNumber(2))
    .requiredOption(
      "--input <CxHxW>",
      "its images, as 3x32x32; up to 64 pixels, networks have their CIFAR form",
      imageDims,
    )
    .requiredOption("-o, --out <file>", "the .onnx file to write: a new one")
    .option("--seed <n>", "seed of the initial weights", wholeNumber(0), 0)
    .optionsGroup(headings.pictures)
    .option("--mean <r,g,b>", "mean per channel, of pixels from 0 to 1 (default: ImageNet's)", numberList)
    .option("--std <r,g,b>", "standard deviation per channel, likewise", positiveList)
    .action((network: NetworkName, options: NewOptions) => runNew(network, options, terminal));
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  {
    what: "for CIFAR-10:",
    words: ["new", "resnet20", "--classes 10", "--input 3x32x32", "-o untrained.onnx"],
  },
];

/** Parser of "3x32x32": channels, height and width. */
function imageDims(text: string): NewOptions["input"] {
  const parts = text.split("x");
  const [channels, height, width] = parts.map((part) => wholeSize(part, LARGEST_SIDE));
  const isWhole = channels !== undefined && height !== undefined && width !== undefined;
  if (isWhole && parts.length === 3) return [channels, height, width];
  throw new InvalidArgumentError(
    `expected CHANNELSxHEIGHTxWIDTH of at most ${LARGEST_SIDE}, found "${text}"`,
  );
}

const LARGEST_SIDE = 4096;

async function runNew(name: NetworkName, options: NewOptions, terminal: Terminal): Promise<void> {
  const { classes, input, out, seed } = options;
  const [
    { checkFreeFile },
    { newNetwork },
    { writeModel },
    { countGraph },
    { fixBatch },
    { pictureFormat },
    preparation,
  ] = await Promise.all([
    import("../files/directories.js"),
    import("../networks/index.js"),
    import("../files/model_files.js"),
    import("../measure/count.js"),
    import("../graph/passes/fix_input_shape.js"),
    import("../data/picture_format.js"),
    import("../data/preprocessing.js"),
  ]);
  checkFreeFile(out);
  const { PREPROCESSING_KEY, pixelWriting } = preparation;
  const untold = newNetwork(name, { classes, image: input, seed, metadata: new Map() });
  const { preprocessing } = pictureFormat(untold, givenPictureOptions(options));
  pixelWriting(preprocessing, input[0]);
  // How the network wants its images, for everybody who uses it later.
  const graph = { ...untold, metadata: new Map([[PREPROCESSING_KEY, JSON.stringify(preprocessing)]]) };
  const bytes = await writeModel(out, graph);
  const { elements, executedMacs } = countGraph(fixBatch(graph, 1));
  terminal.stdout.write(
    `${out}: ${name}, ${compactNumber(elements)} parameters, ` +
      `${compactNumber(executedMacs)} MACs, ${bytes.toLocaleString("en-US")} bytes\n`,
  );
}
