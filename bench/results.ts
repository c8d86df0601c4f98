/**
 * The results on record (`results/`):
 *
 *   npm run results -- ROW [--seed N ...] [--work DIR]   makes a row's models again, or goes on with what was begun
 *   npm run results -- --verify [ROW]                    measures the committed models anew, from their files
 *   npm run results -- --remeasure [ROW]                 the same, into their records
 *   npm run results -- --list                            names the rows
 */
import { Command } from "commander";
import { wholeNumber } from "../src/cli/options.js";
import { runBenchmark } from "./command.js";
import { staleTable, unverifiable } from "./results/committed.js";
import { commandLine, repeat, stepsOf } from "./results/repeat.js";
import { findRow, rows } from "./results/rows.js";
import { writeTable } from "./results/table.js";
import { remeasure, verify } from "./results/verify.js";

interface Options {
  readonly seed?: readonly number[];
  readonly work: string;
  readonly verify?: boolean;
  readonly remeasure?: boolean;
  readonly list?: boolean;
  readonly table?: boolean;
}

const program = new Command("results")
  .description("makes the results on record again, or measures them")
  .argument("[row]", "a row, by its name")
  .option("--seed <n>", "only this seed (repeatable)", (text: string, before: readonly number[] = []) => [
    ...before,
    wholeNumber(0)(text),
  ])
  .option("--work <dir>", "where the runs are kept, to be gone on with", "../penni-results")
  .option("--verify", "measure the committed models, of one row or of all")
  .option("--remeasure", "measure them into their records, after a change of the compiler")
  .option("--table", "only write results/README.md from the records")
  .option("--list", "print the rows with their commands")
  .action(main);

async function main(id: string | undefined, options: Options): Promise<void> {
  const print = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  if (options.list === true) {
    for (const row of rows)
      for (const seed of row.seeds) print(stepsOf(row, seed, options.work).map(commandLine).join("\n"));
    return;
  }
  if (options.table === true) return writeTable();
  if (options.verify === true) {
    const outcomes = [];
    for (const row of id === undefined ? rows : [findRow(id)]) outcomes.push(await verify(row, print));
    const models = outcomes.reduce((sum, outcome) => sum + outcome.models, 0);
    const problems = [
      ...outcomes.flatMap((outcome) => outcome.problems),
      ...(id === undefined ? [...(await unverifiable()), ...(await staleTable())] : []),
    ];
    for (const problem of problems) print(problem);
    print(`${models} models on record, ${problems.length} differences`);
    if (problems.length > 0) process.exitCode = 1;
    return;
  }
  if (options.remeasure === true) {
    for (const row of id === undefined ? rows : [findRow(id)]) await remeasure(row);
    return writeTable();
  }
  const row = findRow(id);
  await repeat(row, options.work, options.seed ?? row.seeds);
  await writeTable();
}

await runBenchmark(program);
