import { spawn } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PenniError } from "../src/graph/errors.js";
import type { Summary } from "../src/run/summary.js";

/** How a compression went. */
export interface CompressionOutcome {
  /** From the trained network to the compressed one; loading and testing are left out. */
  readonly seconds: number;
  /** Top-1 on the test images, 0 to 1. */
  readonly test: number;
  /** As shares of the original's: non-zero parameters, and multiply-accumulates (paper count). */
  readonly parameters: number;
  readonly macs: number;
}

/**
 * Runs `penni compress` in the directory `root`.
 * @param args model and options, without -o
 */
export async function compressOnce(root: string, args: readonly string[]): Promise<CompressionOutcome> {
  const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
  const lines = await output(process.execPath, [main, "compress", ...args, "-o", root, "--json"]);
  const { original, compressed } = JSON.parse(lines.join("\n")) as Summary;
  return {
    seconds: await compressionSeconds(root),
    test: top1(compressed),
    parameters: compressed.parameters / original.parameters,
    macs: compressed.paperMacs / original.paperMacs,
  };
}

function top1({ test }: Summary["compressed"]): number {
  if (test === undefined) throw new PenniError("bad-data", "this benchmark needs labelled images");
  return test.correct / test.total;
}

/** Seconds from the start of a run to its last stage, by the times of the files that it leaves. */
async function compressionSeconds(root: string): Promise<number> {
  const written = async (...parts: string[]): Promise<number> =>
    (await stat(path.join(root, ...parts))).mtimeMs;
  const stages = await readdir(path.join(root, "stages"));
  const times = await Promise.all(stages.map((file) => written("stages", file)));
  return (Math.max(...times) - (await written("config.json"))) / 1000;
}

/**
 * Runs a program and returns the lines it prints, which are shown on stderr as they come. SIGTERM stops it, not us before it;
 * Ctrl-C of a terminal reaches both.
 * @throws PenniError "training" if it fails
 */
export async function output(command: string, args: readonly string[]): Promise<readonly string[]> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const status = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const stop = (): void => void child.kill("SIGTERM");
  process.once("SIGTERM", stop);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    process.stderr.write(`${line}\n`);
    lines.push(line);
  }
  const ended = await status;
  process.removeListener("SIGTERM", stop);
  if (ended === 0) return lines;
  throw new PenniError("training", `${path.basename(command)} ended with status ${ended}`, {
    advice: "What it printed stands above",
  });
}
