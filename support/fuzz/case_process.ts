/** The process that takes cases through Penni and may die of them: told numbers of cases, it reports each. */
import { readFileSync } from "node:fs";
import { cook, drawRecipe, type Recipe } from "./cases.js";
import { takeExternalThrough } from "./external.js";
import { Finding, type Refusals, takeBytesThrough } from "./passage.js";
import { isExternal, type Report, type Task } from "./protocol.js";
import { stocks } from "./seed_models.js";

const LARGEST_MEMORY_BYTES = 1.5 * 2 ** 30;

function run(task: Task): Promise<Refusals> | Refusals {
  if (task.kind === "file") return takeBytesThrough(readFileSync(task.file));
  const { seed, index } = task;
  if (isExternal(index)) return takeExternalThrough(seed, index);
  const recipe: Recipe = drawRecipe(seed, index, stocks[task.models]);
  const steps =
    task.kept === undefined ? recipe.steps : task.kept.flatMap((step) => recipe.steps[step] ?? []);
  return takeBytesThrough(cook({ model: recipe.model, steps }));
}

function describe(error: unknown): { signature: string; problem: string } {
  const problem = error instanceof Finding ? error.message : `the fuzzer itself: ${error}`;
  const cause = error instanceof Finding && error.cause instanceof Error ? error.cause : error;
  const stack = cause instanceof Error ? (cause.stack ?? "").split("\n") : [];
  // Where it was thrown tells failures apart better than a message full of drawn numbers.
  const place = stack.find((line) => /\/dist\/src\/(?!graph\/errors)/.test(line))?.trim() ?? problem;
  return { signature: place.replace(/:\d+\)?$/, ""), problem: `${problem}\n${stack.slice(0, 8).join("\n")}` };
}

function memoryProblem(): string | undefined {
  const { arrayBuffers } = process.memoryUsage();
  const largest = Math.max(arrayBuffers, process.resourceUsage().maxRSS * 1024);
  return largest > LARGEST_MEMORY_BYTES ? `${(largest / 2 ** 30).toFixed(1)} GiB of memory` : undefined;
}

function send(report: Report): void {
  process.send?.(report);
}

process.on("message", async (task: Task) => {
  const start = process.cpuUsage();
  try {
    const refusals = await run(task);
    const memory = memoryProblem();
    const { user, system } = process.cpuUsage(start);
    if (memory === undefined) send({ kind: "passed", refusals, seconds: (user + system) / 1e6 });
    else send({ kind: "failed", signature: "memory", problem: memory });
  } catch (error) {
    send({ kind: "failed", ...describe(error) });
  }
});
