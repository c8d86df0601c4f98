/**
 * Stands in for `penni compress` in tests of the queue: epochs that take a moment each, with a checkpoint behind each,
 * and a result that depends on the settings alone. What it does besides is said by settings of its own.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { fakeSummary } from "./fake_trials.js";

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    config: { type: "string" },
    out: { type: "string", short: "o" },
    resume: { type: "string" },
    quiet: { type: "boolean" },
  },
});
process.on("disconnect", () => process.exit(1));
process.channel?.unref();

interface Plan {
  readonly epochs: number;
  readonly milliseconds: number;
  readonly fails?: string;
  readonly isBlocking?: boolean;
  readonly holdsAt?: number;
  readonly log: string;
}

const root = values.resume ?? values.out ?? "";
const file = (name: string): string => path.join(root, name);
const write = (name: string, content: string): void => {
  writeFileSync(file(`${name}.tmp~`), content);
  renameSync(file(`${name}.tmp~`), file(name));
};

if (values.config !== undefined) {
  const { compress } = JSON.parse(readFileSync(values.config, "utf8"));
  const plan: Plan = JSON.parse(Buffer.from(compress.classesPlan ?? "e30=", "base64").toString());
  for (const folder of ["checkpoints", "stages"]) mkdirSync(file(folder), { recursive: true });
  write("config.json", JSON.stringify({ model: compress.model, data: compress.data, plan }));
}
const { plan, data }: { readonly plan: Plan; readonly data: string } = JSON.parse(
  readFileSync(file("config.json"), "utf8"),
);
const isFirst = readFileSync(plan.log, "utf8") === "";
appendFileSync(plan.log, `${values.resume === undefined ? "begin" : "resume"} ${process.pid}\n`);

let isStopped = false;
process.on("SIGTERM", () => {
  isStopped = true;
});

/** As a training does that never gives way; only that its parent has gone is looked for. */
function block(milliseconds: number): void {
  const parent = process.ppid;
  const never = new Int32Array(new SharedArrayBuffer(4));
  const end = performance.now() + milliseconds;
  for (let left = milliseconds; left > 0; left = end - performance.now()) {
    Atomics.wait(never, 0, 0, Math.min(left, 10_000));
    if (process.ppid !== parent) process.exit(1);
  }
}

const checkpoint = file("checkpoints/retrain.ckpt");
let done = existsSync(checkpoint) ? Number(readFileSync(checkpoint, "utf8")) : 0;
while (done < plan.epochs) {
  if (plan.isBlocking === true) block(plan.milliseconds);
  else await new Promise((resolve) => setTimeout(resolve, plan.milliseconds));
  while (isFirst && done === plan.holdsAt && !isStopped)
    await new Promise((resolve) => setTimeout(resolve, 10));
  if (isStopped) {
    process.stderr.write('penni: stopped in stage "retrain"; a checkpoint is written\n');
    process.exit(143);
  }
  done += 1;
  appendFileSync(plan.log, `epoch ${done}\n`);
  const metrics = { stage: "retrain", phase: "joint", epoch: done, step: 10 * done, learningRate: 0.01 };
  const measured = { loss: 1 / done, sparsity: 0, macs: 1, validation: 1 - 1 / done };
  const lines = existsSync(file("metrics.jsonl")) ? readFileSync(file("metrics.jsonl"), "utf8") : "";
  if (lines.split("\n").length - 1 < done)
    appendFileSync(file("metrics.jsonl"), `${JSON.stringify({ ...metrics, ...measured })}\n`);
  write("checkpoints/retrain.ckpt", `${done}`);
  if (plan.fails !== undefined) {
    process.stderr.write(`penni: ${plan.fails}\n`);
    process.exit(1);
  }
}
write("model.onnx", `the network after ${plan.epochs} epochs of ${data}`);
write("summary.json", JSON.stringify({ ...fakeSummary({ basis: 3, l1: 0.3 }), model: file("model.onnx") }));
