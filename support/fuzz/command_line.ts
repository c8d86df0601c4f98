import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { cook, describeRecipe, drawRecipe } from "./cases.js";
import { stocks } from "./seed_models.js";

const main = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

/** What a user may do with a model somebody gave them. `compress` ends before it trains: there is too little data. */
const commands: Readonly<Record<string, (model: string, folder: string) => readonly string[]>> = {
  inspect: (model) => ["inspect", model],
  json: (model) => ["inspect", model, "--json"],
  eval: (model) => ["eval", model, "--data", "synthetic:40", "--image-size", "8x8"],
  compress: (model, folder) => ["compress", model, "--data", "synthetic:40", "-o", path.join(folder, "run")],
};

const LIMIT_MS = 120_000;

interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

/** What is wrong with how a command ended; undefined if it succeeded or said why not, in one line. */
export function commandProblem({ status, signal, stderr }: Outcome): string | undefined {
  if (status === null) return `it ended by ${signal}`;
  if (status === 0) return undefined;
  if (status !== 1) return `status ${status}`;
  // ONNX Runtime's own warnings come before the error.
  const lines = stderr.trimEnd().split("\n");
  const own = lines.filter((line) => line.startsWith("penni: "));
  const isTrace = lines.some((line) => /^\s+at /.test(line));
  if (own.length !== 1 || isTrace) return `not one line: ${stderr.slice(0, 500)}`;
  return own[0]?.includes("unexpected error") === true ? own[0] : undefined;
}

/** Runs every command on a number of broken models; returns what went wrong, one line each. */
export function driveCommandLine(seed: number, from: number, count: number): readonly string[] {
  const problems: string[] = [];
  const folder = mkdtempSync(path.join(tmpdir(), "penni-fuzz-"));
  try {
    for (let index = from; index < from + count; index += 1) {
      const recipe = drawRecipe(seed, index, stocks.own);
      const model = path.join(folder, "broken.onnx");
      writeFileSync(model, cook(recipe));
      for (const [name, args] of Object.entries(commands)) {
        const options = { encoding: "utf8", timeout: LIMIT_MS, killSignal: "SIGKILL" } as const;
        const outcome = spawnSync(process.execPath, [main, ...args(model, folder)], options);
        const problem = commandProblem(outcome);
        if (problem !== undefined)
          problems.push(`case ${index}, ${name}: ${describeRecipe(recipe)}: ${problem}`);
        rmSync(path.join(folder, "run"), { recursive: true, force: true });
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return problems;
}
