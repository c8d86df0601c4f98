/**
 * A short run that is killed (SIGKILL) at random moments and resumed each time, against the same run undisturbed;
 * and, on several threads, whose sums have no fixed order, how far two undisturbed runs are apart (float noise):
 * `npm run build && node dist/bench/kill-resume.js MODEL DATA [--kills 20] [--seed S] [--threads 1,2]
 *  [-- OPTIONS OF COMPRESS]`. Ends with status 1 if a disturbed run on one thread differs from the undisturbed.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random } from "../src/data/random.js";
import { isTemporaryFile } from "../src/files/atomic.js";
import type { EpochMetrics } from "../src/train/plan.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: `${Date.now() % 1e6}` },
    threads: { type: "string", default: "1,2" },
  },
});
const [model, data, ...more] = positionals;
if (model === undefined || data === undefined) {
  process.stderr.write(
    "usage: node dist/bench/kill-resume.js MODEL DATA [--kills N] [--seed S] [--threads 1,2] [-- OPTIONS]\n",
  );
  process.exit(1);
}
const kills = Number(options.kills);
const seed = Number(options.seed);
const random = new Random(seed);
const main = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "penni-kill-resume-"));
const print = (line: string): boolean => process.stdout.write(`${line}\n`);

interface Outcome {
  readonly metrics: readonly EpochMetrics[];
  readonly correct: number;
  /** The last network that does not depend on what was measured: an export may choose either of equal forms. */
  readonly shrunk: Uint8Array;
  readonly model: Uint8Array;
}

function startArguments(root: string, threads: number): string[] {
  const settings = {
    "--train-limit": 5120,
    "--epochs": 1,
    "--fine-tune-epochs": 1,
    "--threads": threads,
    "--checkpoint-seconds": 1,
  };
  const given = Object.entries(settings).flat().map(String);
  return ["compress", model ?? "", "--data", data ?? "", "-o", root, ...given, ...more];
}

/** Where a run can be hit: at any moment of its work, in the middle of writing a file, or before it works. */
const hits = ["work", "writing", "work", "startup"] as const;

interface Kill {
  readonly hit: (typeof hits)[number];
  /** "group": parent and trainer at once; "parent": the trainer is left an orphan. */
  readonly victim: "group" | "parent";
  /** From the first file that the process wrote; for "startup" from its start. */
  readonly milliseconds: number;
}

/** As many kills as asked for, which together divide the length of an undisturbed run at random. */
function drawKills(runMilliseconds: number): Kill[] {
  const moments = Array.from({ length: kills }, () => random.uniform() * runMilliseconds).sort(
    (a, b) => a - b,
  );
  let reached = 0;
  return moments.map((moment) => {
    const victim = random.below(5) === 0 ? "parent" : "group";
    const hit = hits[random.below(hits.length)] ?? "work";
    if (hit === "startup") return { hit, victim, milliseconds: random.between(0, 3000) };
    const milliseconds = moment - reached;
    reached = moment;
    return { hit, victim, milliseconds };
  });
}

/** The run's folders, and the one it is in until it has one of its own. */
function watchedFolders(root: string): string[] {
  return [folder, root, path.join(root, "checkpoints"), path.join(root, "stages")].filter(existsSync);
}

function isWriting(root: string): boolean {
  return watchedFolders(root).some((each) => readdirSync(each).some(isTemporaryFile));
}

/** Changes with every file that the run writes, its locks apart. */
function progressOf(root: string): string {
  const files = ["checkpoints", "stages", "metrics.jsonl"].map((name) => path.join(root, name));
  return files.map((file) => (existsSync(file) ? statSync(file).mtimeMs : 0)).join();
}

class Process {
  /** The exit status, null after a kill. @throws Error with what it said if it failed */
  readonly ended: Promise<number | null>;
  hasEnded = false;
  private output = "";
  private readonly child;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [main, ...args], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.output += chunk.toString();
    });
    this.ended = new Promise((resolve, reject) =>
      // Not "close": a trainer left an orphan holds the pipe of stderr for another step.
      this.child.on("exit", (status, signal) => {
        this.hasEnded = true;
        if (status === 0 || signal === "SIGKILL") resolve(status);
        else reject(new Error(`penni ${args.join(" ")} ended with status ${status}:\n${this.output}`));
      }),
    );
  }

  async until(condition: () => boolean): Promise<void> {
    while (!this.hasEnded && !condition()) await sleep(1);
  }

  async wait(milliseconds: number): Promise<void> {
    await Promise.race([sleep(milliseconds), this.ended]);
  }

  async kill(victim: Kill["victim"]): Promise<boolean> {
    const id = this.child.pid;
    if (this.hasEnded || id === undefined) return false;
    process.kill(victim === "group" ? -id : id, "SIGKILL");
    return (await this.ended) === null;
  }
}

function start(root: string, threads: number): Process {
  return new Process(existsSync(root) ? ["compress", "--resume", root] : startArguments(root, threads));
}

/** Starts or resumes the run and kills it as told; false if it came to its end before. */
async function killOnce(root: string, threads: number, kill: Kill): Promise<boolean> {
  const before = progressOf(root);
  const running = start(root, threads);
  if (kill.hit !== "startup") await running.until(() => progressOf(root) !== before);
  await running.wait(kill.milliseconds);
  if (kill.hit === "writing") await running.until(() => isWriting(root));
  return running.kill(kill.victim);
}

/** What a run was at, from what it has left. */
function whereabouts(root: string): string {
  const stages = path.join(root, "stages");
  if (!existsSync(stages)) return "before its directory was there";
  const names = readdirSync(stages).filter((name) => name.endsWith(".onnx"));
  const state = [
    isWriting(root) ? "a half-written file" : "",
    existsSync(path.join(root, "model.onnx")) ? "model.onnx" : "",
  ];
  return [`${names.length} of 9 stages done`, ...state].filter((text) => text !== "").join(", ");
}

async function finish(root: string, threads: number): Promise<Outcome> {
  await start(root, threads).ended;
  const read = (name: string): Buffer => readFileSync(path.join(root, name));
  const lines = read("metrics.jsonl").toString().trimEnd().split("\n");
  return {
    metrics: lines.map((line) => JSON.parse(line) as EpochMetrics),
    correct: JSON.parse(read("summary.json").toString()).compressed.test.correct,
    shrunk: read("stages/shrink.onnx"),
    model: read("model.onnx"),
  };
}

async function disturbed(root: string, threads: number, runMilliseconds: number): Promise<Outcome> {
  let killed = 0;
  for (const [index, kill] of drawKills(runMilliseconds).entries()) {
    const isKilled = await killOnce(root, threads, kill);
    if (isKilled) killed += 1;
    const what = isKilled
      ? `${kill.victim} killed (${kill.hit}, ${Math.round(kill.milliseconds)} ms)`
      : "had ended";
    print(`  ${index + 1}: ${what}; ${whereabouts(root)}`);
  }
  const outcome = await finish(root, threads);
  print(`  ${killed} kills, then resumed to the end`);
  return outcome;
}

/** Prints how two outcomes differ; whether they are the same. */
function compare(what: string, a: Outcome, b: Outcome): boolean {
  const losses = a.metrics.map((line, index) =>
    Math.abs(line.loss / (b.metrics[index]?.loss ?? Number.NaN) - 1),
  );
  const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
  const areMetricsSame = isSame(a.metrics, b.metrics);
  const isShrunkSame = Buffer.compare(a.shrunk, b.shrunk) === 0;
  const say = (name: string, same: boolean): string => `${name} ${same ? "identical" : "differs"}`;
  const difference = areMetricsSame ? "" : ` (loss by ${Math.max(...losses).toExponential(1)} relative)`;
  print(
    [
      what,
      say("metrics.jsonl", areMetricsSame) + difference,
      say("stages/shrink.onnx", isShrunkSame),
      say("model.onnx", Buffer.compare(a.model, b.model) === 0),
      `correct test images ${a.correct} and ${b.correct}`,
    ].join(" | "),
  );
  return areMetricsSame && isShrunkSame;
}

print(`seed ${seed}, ${kills} kills`);
try {
  for (const threads of options.threads.split(",").map(Number)) {
    const started = performance.now();
    const first = await finish(path.join(folder, `undisturbed-${threads}`), threads);
    const milliseconds = performance.now() - started;
    print(`${threads} threads, undisturbed: ${(milliseconds / 1000).toFixed(0)} s`);
    const other = await disturbed(path.join(folder, `disturbed-${threads}`), threads, milliseconds);
    const isSame = compare(`${threads} threads, killed against undisturbed`, other, first);
    if (threads === 1 && !isSame) process.exitCode = 1;
    if (threads === 1) continue;
    const again = await finish(path.join(folder, `again-${threads}`), threads);
    compare(`${threads} threads, float noise of two undisturbed`, again, first);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
