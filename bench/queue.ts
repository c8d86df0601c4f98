/**
 * What the queue itself costs, with a redis-server of its own:
 * `node dist/bench/queue.js throughput [--trials 1000] [--jobs 16] [--idle 20]`: trials that compute nothing, from a
 * runner through Redis and the store to a worker in another process and back; commands and bytes of Redis per trial.
 * `node dist/bench/queue.js engine [--trials 2000] [--jobs 16]`: the same without store and files: Redis and BullMQ alone.
 * `node dist/bench/queue.js overhead [--arms loop,worker,loops,workers] [--rounds 1] [--json]`: 24 short trials of ResNet-20
 * through a queue and without. Sizes: `--trials 24 --train 2000 --test 1000 --epochs 0.8`.
 * `node dist/bench/queue.js chaos [--workers 2] [--every 20] [--against DIR]`: the same sweep on workers that are killed
 * (SIGKILL) in turn, with Redis restarted twice, against the undisturbed one. Ends with status 1 where a network or a
 * Pareto front differs. `outage [--seconds 60]`: Redis is away for so long while trials run, end and wait; `long [--minutes
 * 60]`: a trial that blocks its process; both with the times that users have, and hardly any work for the processor; status
 * 1 where something is not as it must be. `--keep DIR` keeps what is made; the overhead's DIR/workers-0 is an undisturbed sweep for chaos.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { chaos } from "./queue/chaos.js";
import { armNames, overhead } from "./queue/overhead.js";
import { engine, throughput } from "./queue/throughput.js";
import { long, outage } from "./queue/true_scale.js";
import { isWorkerKind, serve } from "./queue/worker_process.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    trials: { type: "string" },
    jobs: { type: "string", default: "16" },
    idle: { type: "string", default: "20" },
    workers: { type: "string", default: "2" },
    every: { type: "string", default: "20" },
    train: { type: "string", default: "2000" },
    test: { type: "string", default: "1000" },
    epochs: { type: "string", default: "0.8" },
    arms: { type: "string", default: "loop,worker,loops,workers" },
    rounds: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    against: { type: "string" },
    keep: { type: "string" },
    seconds: { type: "string", default: "60" },
    minutes: { type: "string", default: "60" },
    kind: { type: "string", default: "nothing" },
    store: { type: "string", default: "" },
    name: { type: "string", default: "worker" },
  },
});
const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const trials = (otherwise: number): number => Number(options.trials ?? otherwise);
const jobs = Number(options.jobs);

const actions: Readonly<Record<string, (folder: string) => Promise<void>>> = {
  throughput: (folder) =>
    throughput({ folder, trials: trials(1000), jobs, idle: Number(options.idle), print }),
  engine: () => engine({ trials: trials(2000), jobs, print }),
  outage: (folder) => outage({ folder, seconds: Number(options.seconds), print }),
  long: (folder) => long({ folder, minutes: Number(options.minutes), print }),
  worker,
  overhead: (folder) =>
    overhead({
      folder,
      size: size(),
      arms: armNames.filter((name) => options.arms.split(",").includes(name)),
      rounds: Number(options.rounds),
      isJson: options.json,
      print,
    }),
  chaos: (folder) =>
    chaos({
      folder,
      size: size(),
      workers: Number(options.workers),
      every: Number(options.every),
      against: options.against === undefined ? undefined : path.resolve(options.against),
      print,
    }),
};

/** Of those above, in a process of its own. */
async function worker(): Promise<void> {
  const { kind, store, name } = options;
  if (!isWorkerKind(kind)) throw new Error(`no kind of worker: ${kind}`);
  await serve(kind, store, jobs, name);
}

function size() {
  return {
    train: Number(options.train),
    test: Number(options.test),
    epochs: Number(options.epochs),
    trials: trials(24),
  };
}

const [what = "throughput"] = positionals;
// What it has started ends with it; a worker is asked to end.
if (what !== "worker")
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
const action = actions[what];
if (action === undefined) throw new Error(`expected ${Object.keys(actions).join(", ")}, found ${what}`);
const folder =
  options.keep === undefined
    ? mkdtempSync(path.join(tmpdir(), "penni-bench-queue-"))
    : path.resolve(options.keep);
try {
  await action(folder);
} finally {
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}
