/**
 * Ways to compress ResNet-20 with equal epochs, one against the other (docs/recipe.md):
 *
 *   node dist/bench/recipe.js -o DIR                     runs all arms, or goes on with what was cut
 *   node dist/bench/recipe.js -o DIR --only fast,cut     those, and nothing else
 *   node dist/bench/recipe.js -o DIR --plan              says what would run, by which command, and for how long
 *   node dist/bench/recipe.js -o DIR --table             prints the table of what is finished, with the options of each run
 *
 * Each arm and seed is a run of its own below DIR, by our command line. One runs at a time; one that is finished is not run
 * again, one that was killed or stopped is resumed. Every arm runs with the first seed before any with the second, so that what is
 * there after an interruption can be compared. What a run was made with stands beside its folder; a run that was begun with
 * other options than its arm has now is not gone on with, and marked in the table.
 */
import { availableParallelism } from "node:os";
import { Command } from "commander";
import { numberBetween, wholeNumber } from "../src/cli/options.js";
import { sharedPath } from "../support/shared.js";
import { runBenchmark } from "./command.js";
import { type Arm, armNamed, arms } from "./recipe/arms.js";
import { carryOut, commandOf, type Outcome, outcomeOf, type Place } from "./recipe/carry_out.js";
import { optionsOf } from "./recipe/recorded.js";
import { tableText } from "./recipe/table.js";

interface Options extends Place {
  readonly only?: readonly Arm[];
  readonly seeds: number;
  readonly plan?: boolean;
  readonly table?: boolean;
}

const program = new Command("recipe")
  .description("ways to compress ResNet-20 with equal epochs, one against the other")
  .requiredOption("-o, --out <dir>", "where runs are kept, to be gone on with")
  .option("--only <names>", "these arms, with commas between them", (text: string) =>
    text.split(",").map((name) => armNamed(name.trim())),
  )
  .option("--plan", "print what would run, and for how long")
  .option("--table", "print the table of what is finished")
  .option("--seeds <n>", "runs of each arm", wholeNumber(1), 2)
  .option("--epochs <n>", "epochs of each run in all", numberBetween(0.5, 1e3), 3)
  .option(
    "--target-macs <f>",
    "fraction of the multiply-accumulates that is left",
    numberBetween(0.01, 1),
    0.4,
  )
  .option("--model <file>", "the trained network", sharedPath("models/resnet20.onnx"))
  .option("--data <dir>", "CIFAR-10 in its binary layout", sharedPath("data/cifar10"))
  .option("--train-limit <n>", "use only so many training images", wholeNumber(1))
  .option(
    "--threads <n>",
    "threads of each run (default: one per core)",
    wholeNumber(1),
    availableParallelism(),
  )
  .action(main);

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(options: Options): Promise<void> {
  const chosen = options.only ?? arms;
  if (options.table === true) return printTable(chosen, options);
  const open = await openRuns(chosen, options);
  if (options.plan === true) return printPlan(open, options);
  for (const [index, { arm, seed }] of open.entries()) {
    process.stderr.write(`\n${arm.name}, seed ${seed}: run ${index + 1} of ${open.length}\n`);
    const obstacle = await carryOut(arm, seed, options);
    if (obstacle !== undefined) process.stderr.write(`left out: ${obstacle}\n`);
  }
  await printTable(chosen, options);
}

interface OpenRun {
  readonly arm: Arm;
  readonly seed: number;
}

const seedsOf = ({ seeds }: Options): readonly number[] => Array.from({ length: seeds }, (_, seed) => seed);

async function openRuns(chosen: readonly Arm[], options: Options): Promise<readonly OpenRun[]> {
  const open: OpenRun[] = [];
  for (const seed of seedsOf(options))
    for (const arm of chosen)
      if ((await outcomeOf(arm, seed, options)) === undefined) open.push({ arm, seed });
  return open;
}

function printPlan(open: readonly OpenRun[], options: Options): void {
  let minutes = 0;
  for (const { arm, seed } of open) {
    const { epoch, rest } = arm.seconds;
    const own = (epoch * options.epochs + rest) / 60;
    minutes += own;
    const command = commandOf(arm, seed, options);
    print(`${arm.name}, seed ${seed}, about ${own.toFixed(1)} min: ${arm.question}`);
    print(`  ${command === undefined ? "pytorch/penni_run.py" : ["penni", ...command].join(" ")}`);
  }
  print(
    `${open.length} runs, about ${(minutes / 60).toFixed(1)} h on two quiet cores with all training images`,
  );
}

async function printTable(chosen: readonly Arm[], options: Options): Promise<void> {
  const finished = [];
  for (const arm of chosen) {
    const outcomes = new Map<number, Outcome>();
    for (const seed of seedsOf(options)) {
      const outcome = await outcomeOf(arm, seed, options);
      if (outcome !== undefined) outcomes.set(seed, outcome);
    }
    finished.push({ arm, options: optionsOf(arm, options), outcomes });
  }
  print(tableText(finished));
}

await runBenchmark(program);
