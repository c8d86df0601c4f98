/**
 * Damages models in thousands of ways and takes each through Penni: it must succeed or end in a typed error, within
 * 5 s and a limited memory. `npm run fuzz -- [--cases 20000] [--seed 1] [--from 0] [--case INDEX] [--file FILE]
 * [--own] [--cli]`: --case and --file repeat one, --own leaves the models of ../shared out (numbers of cases mean
 * others then), --cli runs penni's commands on the cases. Failures are minimised and written to files; status 1 if
 * there was any.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { wholeNumber } from "../src/cli/options.js";
import { CaseRunner } from "../support/fuzz/case_runner.js";
import { describeRecipe, drawRecipe } from "../support/fuzz/cases.js";
import { driveCommandLine } from "../support/fuzz/command_line.js";
import { minimise } from "../support/fuzz/minimise.js";
import { type Failure, isExternal } from "../support/fuzz/protocol.js";
import { stocks } from "../support/fuzz/seed_models.js";
import { runBenchmark } from "./command.js";

interface Options {
  readonly cases: number;
  readonly seed: number;
  readonly from: number;
  readonly case?: number;
  readonly file?: string;
  readonly own?: boolean;
  readonly cli?: boolean;
}

const print = (line: string): boolean => process.stdout.write(`${line}\n`);

/** Counts of things by name. */
class Tally {
  private readonly counts = new Map<string, number>();

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  toString(): string {
    const sorted = [...this.counts].sort(([, a], [, b]) => b - a);
    return sorted.map(([name, count]) => `${name} ${count}`).join(", ");
  }
}

/** What a case that passed cost, in seconds of the processor. */
interface Timed {
  readonly seconds: number;
  readonly index: number;
}

const SLOWEST_SHOWN = 8;

const longest = (cases: readonly Timed[]): readonly Timed[] =>
  [...cases].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST_SHOWN);

async function fuzz(options: Options): Promise<void> {
  const models = options.own === true ? "own" : "all";
  const stock = stocks[models];
  const { seed } = options;
  const from = options.case ?? options.from;
  const until = options.case === undefined ? from + options.cases : from + 1;
  const runner = new CaseRunner();
  const refusals = new Tally();
  const failures = new Map<string, number>();
  let whole = 0;
  let slowest: readonly Timed[] = [];
  const start = Date.now();
  for (let index = from; index < until; index += 1) {
    const report = await runner.run({ kind: "case", seed, index, models });
    if (report.kind === "passed") {
      if (report.refusals.length === 0) whole += 1;
      for (const refusal of report.refusals) refusals.add(refusal);
      slowest = longest([...slowest, { seconds: report.seconds, index }]);
    } else {
      const seen = failures.get(report.signature) ?? 0;
      failures.set(report.signature, seen + 1);
      if (seen === 0) await explain(index, report);
      else print(`FAILED case ${index}, of a kind seen before: ${report.signature}`);
    }
    if ((index + 1 - from) % 1000 === 0) {
      const [first] = slowest;
      print(
        `${index + 1 - from} cases, ${failures.size} kinds of failures, slowest ${first?.index}: ${first?.seconds.toFixed(2)} s`,
      );
    }
  }
  runner.stop();
  const failed = [...failures.values()].reduce((sum, count) => sum + count, 0);
  print(`refused: ${refusals}`);
  const times = slowest.map(({ index, seconds }) => `case ${index} ${seconds.toFixed(2)}`);
  print(`slowest, in seconds of CPU: ${times.join(", ")}`);
  print(
    `seed ${seed}, cases ${from} to ${until - 1} (${stock.own.length} own models, ${stock.real.length} real ones): ${until - from - failed} passed, ${whole} of ` +
      `them without any refusal, ${failed} failed, ${Math.round((Date.now() - start) / 1000)} s`,
  );
  if (failed > 0) process.exitCode = 1;

  async function explain(index: number, failure: Failure): Promise<void> {
    const recipe = isExternal(index) ? undefined : drawRecipe(seed, index, stock);
    print(`FAILED case ${index}: ${recipe === undefined ? "external data" : describeRecipe(recipe)}`);
    print(`  ${failure.problem}`);
    print(`  again: npm run fuzz -- --seed ${seed} --case ${index}${models === "own" ? " --own" : ""}`);
    if (recipe === undefined) return;
    const small = await minimise(recipe, failure, { seed, index, models });
    const file = path.join(mkdtempSync(path.join(tmpdir(), "penni-fuzz-")), `${seed}-${index}.onnx`);
    writeFileSync(file, small.bytes);
    print(`  minimised: ${describeRecipe(small.recipe)}, ${small.bytes.length} bytes, ${small.nodes} nodes`);
    print(`  that file: npm run fuzz -- --file ${file}`);
  }
}

async function fuzzFile(file: string): Promise<void> {
  const runner = new CaseRunner();
  const report = await runner.run({ kind: "file", file: path.resolve(file) });
  runner.stop();
  if (report.kind === "passed") {
    print(`passed in ${report.seconds.toFixed(2)} s; refused: ${report.refusals.join(", ") || "nowhere"}`);
    return;
  }
  print(`FAILED (${report.signature}): ${report.problem}`);
  process.exitCode = 1;
}

function fuzzCommandLine({ seed, from, cases }: Options): void {
  const problems = driveCommandLine(seed, from, cases);
  for (const problem of problems) print(`FAILED ${problem}`);
  print(
    `seed ${seed}, cases ${from} to ${from + cases - 1} by the command line: ${problems.length} problems`,
  );
  if (problems.length > 0) process.exitCode = 1;
}

async function run(options: Options): Promise<void> {
  if (options.file !== undefined) return fuzzFile(options.file);
  if (options.cli === true) return fuzzCommandLine(options);
  return fuzz(options);
}

const program = new Command("fuzz")
  .option("--cases <n>", "number of cases", wholeNumber(1), 20_000)
  .option("--seed <n>", "seed of all of them", wholeNumber(0), 1)
  .option("--from <n>", "number of the first case", wholeNumber(0), 0)
  .option("--case <n>", "only this case", wholeNumber(0))
  .option("--file <file>", "only this model")
  .option("--own", "only models made on the spot")
  .option("--cli", "run penni's commands on the cases, each in a process of its own")
  .action(run);

await runBenchmark(program);
