/** The sweep of `bench/queue-hosts.sh`: `node dist/bench/queue-hosts.js PLACE TRIALS`, with the queue in PENNI_QUEUE. */
import path from "node:path";
import { openQueueRunner } from "../src/queue/queue_runner.js";
import { TrialMaker, WatchedEpochs } from "../support/queue.js";

const [place, trials] = process.argv.slice(2);
if (place === undefined || trials === undefined) throw new Error("usage: queue-hosts.js PLACE TRIALS");
const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const maker = new TrialMaker(path.join(place, "sweep"));
await maker.prepare();
const runner = await openQueueRunner({ store: path.join(place, "store"), notice: print });
const made = Array.from({ length: Number(trials) }, (_, index) =>
  maker.real({ seed: index, data: "synthetic:2000", targetMacs: 0.8, threads: 1, checkpointSeconds: 1 }),
);
const outcomes = await Promise.all(
  made.map(async (trial) => {
    const outcome = await runner.run(trial, maker.directory(trial), new WatchedEpochs());
    const where = "provenance" in outcome ? ` on ${outcome.provenance.worker}` : "";
    print(`trial ${trial.number}: ${outcome.status}${where}`);
    return outcome;
  }),
);
await runner.close();
if (outcomes.some(({ status }) => status !== "done")) process.exitCode = 1;
