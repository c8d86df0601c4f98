/**
 * The whole way of a network of ImageNet's form on a folder of photos, by our command line: a new network is written,
 * trained for a while, compressed, and compiled. Wall time of each command, and the most memory that all of its processes
 * had together. The photos are made of the synthetic images, so accuracies say nothing.
 *
 *   node dist/bench/photo-pipeline.js [--networks resnet50,alexnet] [--photos 200] [--epochs 1] [--work DIR]
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { numberBetween, wholeNumber } from "../src/cli/options.js";
import { openDataset } from "../src/data/open.js";
import { present } from "../src/graph/at.js";
import { PenniError } from "../src/graph/errors.js";
import { type NetworkName, networkNames } from "../src/networks/names.js";
import { writePhotos } from "../support/photos.js";
import { runBenchmark } from "./command.js";
import { TreeMemory } from "./tree_memory.js";

interface Options {
  readonly networks: readonly NetworkName[];
  readonly photos: number;
  readonly batch: number;
  readonly epochs: number;
  readonly work?: string;
}

const SIDE = 224;
const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));

/** The commands of one network, as a user would type them. */
function commandsOf(
  network: NetworkName,
  folder: string,
  { batch, epochs, photos }: Pick<Options, "batch" | "epochs"> & { readonly photos: string },
): readonly (readonly string[])[] {
  const at = (name: string): string => path.join(folder, network, name);
  const data = ["--data", `folder:${photos}`, "--batch", `${batch}`];
  const [trained, small] = [at("trained"), at("small")];
  return [
    ["new", network, "--classes", "10", "--input", `3x${SIDE}x${SIDE}`, "-o", at("untrained.onnx")],
    // A network without normalization, as AlexNet, diverges at ten times this rate.
    ["train", at("untrained.onnx"), ...data, "--epochs", `${epochs}`, "--lr", "0.001", "-o", trained],
    [
      ...["compress", path.join(trained, "model.onnx"), ...data, "--target-macs", "0.5"],
      ...["--epochs", `${epochs / 2}`, "--fine-tune-epochs", `${epochs}`, "-o", small],
    ],
    ["compile", path.join(small, "model.onnx"), "--target", "wasm", "-o", at("wasm")],
  ];
}

async function measure(options: Options): Promise<void> {
  const folder = options.work ?? (await mkdtemp(path.join(tmpdir(), "penni-photos-")));
  const photos = path.join(folder, "photos");
  try {
    const imageSize = { width: 64, height: 64 };
    const { train, classNames } = await openDataset(`synthetic:${options.photos}`, { imageSize });
    await writePhotos(photos, await train(), present(classNames, "the classes"), options.photos);
    process.stdout.write("| command | s | MiB |\n| --- | --- | --- |\n");
    for (const network of options.networks) {
      await mkdir(path.join(folder, network), { recursive: true });
      for (const command of commandsOf(network, folder, { ...options, photos }))
        await carryOut(command, folder);
    }
  } finally {
    if (options.work === undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Prints a row of the table. @throws PenniError "training" if the command fails */
async function carryOut(command: readonly string[], folder: string): Promise<void> {
  const started = performance.now();
  const child = spawn(process.execPath, [main, ...command], { stdio: ["ignore", "ignore", "inherit"] });
  const memory = new TreeMemory(child.pid);
  const status = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const mebibytes = memory.stop();
  if (status !== 0)
    throw new PenniError("training", `penni ${command[0]} failed`, { found: `status ${status}` });
  const seconds = (performance.now() - started) / 1000;
  const said = ["penni", ...command].join(" ").replaceAll(`${folder}${path.sep}`, "");
  process.stdout.write(`| \`${said}\` | ${seconds.toFixed(0)} | ${mebibytes.toFixed(0)} |\n`);
}

function names(text: string): readonly NetworkName[] {
  return text.split(",").map((name) => {
    const known = networkNames.find((each) => each === name);
    if (known !== undefined) return known;
    throw new PenniError("bad-option", "there is no such network", {
      expected: networkNames.join(", "),
      found: name,
    });
  });
}

const program = new Command("photo-pipeline")
  .option("--networks <names>", "with commas between them", names, ["resnet50", "alexnet"])
  .option("--photos <n>", "of training and test together", wholeNumber(50), 200)
  .option("--batch <n>", "images in a batch", wholeNumber(1), 16)
  .option("--epochs <n>", "of training, and of fine-tuning", numberBetween(0.1, 100), 1)
  .option("--work <dir>", "where everything is kept (default: nowhere)")
  .action(measure);

await runBenchmark(program);
