/**
 * How the cost of every stage of the command line grows with the number of nodes, on structures that make something
 * long, wide, shared or nested: `npm run bench:growth -- [--structures WORD,...] [--sizes N,...] [--limit SECONDS]`.
 * Prints processor time, peak memory and, for each stage, the exponent over the larger sizes (1 is linear growth).
 * Ends with status 1 where an exponent is above 1.3 or a structure does not come to its end.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { PenniError } from "../src/graph/errors.js";
import {
  buildStructure,
  isStructureName,
  type StructureName,
  structureNames,
} from "../support/growth_structures.js";
import { runBenchmark } from "./command.js";
import { runStages } from "./growth/stages.js";

interface GrowthOptions {
  readonly structures: string;
  readonly sizes: string;
  readonly limit: string;
  readonly one?: string;
}

/** What one stage of one size cost; or why it ended. */
interface Measured {
  readonly stage: string;
  readonly seconds: number;
  readonly error?: string;
}

interface Run {
  readonly nodes: number;
  readonly stages: readonly Measured[];
  readonly mebibytes: number;
  readonly finished: boolean;
}

/** Times below this say more about the compiler of JavaScript than about growth. */
const SHORTEST_SECONDS = 0.1;
/** Sizes below this are left out of the exponents where there are larger ones. */
const SMALLEST_FITTED = 5000;
const LARGEST_EXPONENT = 1.3;

const program = new Command("bench:growth")
  .description("growth of every stage's time and memory with the number of nodes")
  .option("--structures <words>", "only structures whose names contain one of these words", "")
  .option("--sizes <numbers>", "numbers of nodes", "1000,10000,30000,100000")
  .option("--limit <seconds>", "the most that one size of one structure may take", "300")
  .addOption(new Option("--one <json>", "one structure and size, as JSON lines").hideHelp())
  .action(runGrowth);

async function runGrowth(options: GrowthOptions): Promise<void> {
  if (options.one !== undefined) return measureOne(JSON.parse(options.one));
  const words = options.structures.split(",");
  const sizes = options.sizes.split(",").map(Number);
  let worst = 0;
  for (const name of structureNames.filter((each) => words.some((word) => each.includes(word)))) {
    const runs: Run[] = [];
    for (const nodes of sizes) {
      const run = await inOwnProcess(name, nodes, Number(options.limit));
      runs.push(run);
      if (!run.finished) break;
    }
    worst = Math.max(worst, printStructure(name, runs));
  }
  process.stdout.write(`\nLargest exponent: ${worst.toFixed(2)}\n`);
  if (worst > LARGEST_EXPONENT) process.exitCode = 1;
}

async function measureOne([name, nodes]: readonly [string, number]): Promise<void> {
  if (!isStructureName(name)) throw new Error(`no structure "${name}"`);
  await runStages(buildStructure(name, nodes), async (stage, run) => {
    const start = process.cpuUsage();
    const cost = (): number => {
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1e6;
    };
    try {
      const result = await run();
      print({ stage, seconds: cost() });
      return result;
    } catch (error) {
      const message = error instanceof PenniError ? error.message : `UNTYPED ${String(error)}`;
      print({ stage, seconds: cost(), error: message });
      throw error;
    }
  }).catch(() => undefined);
  process.stdout.write(`${JSON.stringify({ mebibytes: process.resourceUsage().maxRSS / 1024 })}\n`);
}

function print(measured: Measured): void {
  process.stdout.write(`${JSON.stringify(measured)}\n`);
}

/** Each in a process of its own: its memory, and an end where it takes too long. */
function inOwnProcess(name: StructureName, nodes: number, limit: number): Promise<Run> {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [script, "--one", JSON.stringify([name, nodes])], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: limit * 1000,
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("close", () => {
      const lines = text
        .split("\n")
        .filter((line) => line.endsWith("}"))
        .map((line): Measured | { readonly mebibytes: number } => JSON.parse(line));
      const stages = lines.filter((line) => "stage" in line);
      const end = lines.find((line) => "mebibytes" in line);
      resolve({ nodes, stages, mebibytes: end?.mebibytes ?? Number.NaN, finished: end !== undefined });
    });
  });
}

/** Prints one structure's table; returns its largest exponent, infinite where a size did not come to its end. */
function printStructure(name: string, runs: readonly Run[]): number {
  process.stdout.write(`\n${name}\n`);
  const stages = [...new Set(runs.flatMap((run) => run.stages.map(({ stage }) => stage)))];
  const cells = (values: readonly string[]): string => values.map((value) => value.padStart(10)).join("");
  process.stdout.write(`${"seconds of".padEnd(16)}${cells(runs.map(({ nodes }) => `${nodes}`))}  exponent\n`);
  let largest = 0;
  for (const stage of stages) {
    const found = runs.map((run) => run.stages.find((each) => each.stage === stage));
    const slope = exponent(runs.map(({ nodes }, at) => [nodes, found[at]?.seconds ?? 0] as const));
    if (slope !== undefined) largest = Math.max(largest, slope);
    const times = found.map((each) => each?.seconds.toFixed(3) ?? "-");
    process.stdout.write(`${stage.padEnd(16)}${cells(times)}  ${slope?.toFixed(2) ?? ""}\n`);
    const error = found.find((each) => each?.error !== undefined)?.error;
    if (error !== undefined) process.stdout.write(`  ${error}\n`);
    if (error?.startsWith("UNTYPED")) largest = Number.POSITIVE_INFINITY;
  }
  process.stdout.write(
    `${"peak MiB".padEnd(16)}${cells(runs.map(({ mebibytes }) => mebibytes.toFixed(0)))}\n`,
  );
  const isCut = runs.some(({ finished }) => !finished);
  if (isCut) process.stdout.write("  does not come to its end\n");
  return isCut ? Number.POSITIVE_INFINITY : largest;
}

/** The slope of log(seconds) over log(nodes), by least squares; undefined where less than two times can be told. */
function exponent(points: readonly (readonly [number, number])[]): number | undefined {
  const told = points.filter(([nodes, seconds]) => seconds >= SHORTEST_SECONDS && nodes >= SMALLEST_FITTED);
  if (told.length < 2) return undefined;
  const logs = told.map(([nodes, seconds]) => [Math.log(nodes), Math.log(seconds)] as const);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(logs.map(([at]) => at)), mean(logs.map(([, at]) => at))];
  const covariance = logs.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0);
  const variance = logs.reduce((sum, [a]) => sum + (a - x) ** 2, 0);
  return covariance / variance;
}

await runBenchmark(program);
