/**
 * A short run that is killed (SIGKILL to the whole process group) at random moments of its training and resumed
 * each time, against the same run undisturbed, on one thread and on two; and how far two undisturbed runs are
 * apart on two threads, whose sums have no fixed order (the float noise):
 * `npm run build && node dist/bench/kill-resume.js MODEL DATA [KILLS [OPTION OF COMPRESS ...]]`
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { EpochMetrics } from "../src/train/plan.js";

const [model, data, killsText = "3", ...more] = process.argv.slice(2);
if (model === undefined || data === undefined) {
  process.stderr.write("usage: node dist/bench/kill-resume.js MODEL DATA [KILLS [OPTION OF COMPRESS ...]]\n");
  process.exit(1);
}
const kills = Number(killsText);
const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "penni-kill-resume-"));

interface Outcome {
  readonly root: string;
  readonly metrics: readonly EpochMetrics[];
  readonly correct: number;
  readonly model: Uint8Array;
}

function startArguments(root: string, threads: number): string[] {
  const settings = {
    "--train-limit": 1280,
    "--epochs": 1,
    "--fine-tune-epochs": 1,
    "--threads": threads,
    "--checkpoint-seconds": 1,
  };
  const options = Object.entries(settings).flat().map(String);
  return ["compress", model ?? "", "--data", data ?? "", "-o", root, ...options, ...more];
}

/** Runs a command to its end, or kills it so many milliseconds after its training has a checkpoint. */
function penni(args: readonly string[], root: string, killAfter?: number): Promise<"done" | "killed"> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { detached: true, stdio: "ignore" });
    const started = () => existsSync(path.join(root, "checkpoints/retrain.ckpt"));
    const watch = setInterval(() => {
      if (killAfter === undefined || !started()) return;
      clearInterval(watch);
      setTimeout(
        () => child.exitCode === null && child.pid && process.kill(-child.pid, "SIGKILL"),
        killAfter,
      );
    }, 20);
    child.on("close", (status, signal) => {
      clearInterval(watch);
      if (signal === "SIGKILL") resolve("killed");
      else if (status === 0) resolve("done");
      else reject(new Error(`penni ${args.join(" ")} ended with status ${status}`));
    });
  });
}

async function run(name: string, threads: number, killCount: number): Promise<Outcome> {
  const root = path.join(folder, name);
  const resume = ["compress", "--resume", root];
  let killed = 0;
  for (let attempt = 0; attempt < killCount; attempt++) {
    const args = existsSync(root) ? resume : startArguments(root, threads);
    if ((await penni(args, root, 500 + Math.random() * 8000)) === "killed") killed += 1;
  }
  await penni(existsSync(root) ? resume : startArguments(root, threads), root);
  const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
  process.stdout.write(`${name}: killed ${killed} times\n`);
  return {
    root,
    metrics: read("metrics.jsonl")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as EpochMetrics),
    correct: JSON.parse(read("summary.json")).compressed.test.correct,
    model: readFileSync(path.join(root, "model.onnx")),
  };
}

function compare(what: string, a: Outcome, b: Outcome): void {
  const losses = a.metrics.map((line, index) => Math.abs(line.loss / (b.metrics[index]?.loss ?? NaN) - 1));
  const same = JSON.stringify(a.metrics) === JSON.stringify(b.metrics);
  process.stdout.write(
    [
      what,
      `metrics.jsonl ${same ? "identical" : `differs, loss by ${Math.max(...losses).toExponential(1)} relative`}`,
      `model.onnx ${Buffer.compare(a.model, b.model) === 0 ? "identical" : "differs"}`,
      `correct test images ${a.correct} and ${b.correct}\n`,
    ].join(" | "),
  );
}

try {
  for (const threads of [1, 2]) {
    const first = await run(`undisturbed, ${threads} threads`, threads, 0);
    const disturbed = await run(`disturbed, ${threads} threads`, threads, kills);
    compare(`${threads} threads, killed against undisturbed`, disturbed, first);
    const again = await run(`undisturbed again, ${threads} threads`, threads, 0);
    compare(`${threads} threads, float noise of two undisturbed`, again, first);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
