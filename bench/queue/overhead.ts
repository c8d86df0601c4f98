import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { TestRedis } from "../../support/redis_server.js";
import { Fleet, penni } from "./fleet.js";
import { networksIn, type ShortSize, ShortSweep, trialFolder } from "./short_sweep.js";

/** A way of doing the same trials. */
interface Arm {
  readonly what: string;
  /** At a time; the cores are shared evenly. */
  readonly places: number;
  /** The arm without a queue that it is compared with. */
  readonly against?: ArmName;
  /** @returns seconds from the first trial's beginning to the last one's end, with all that a user waits for */
  readonly run: (work: ArmWork) => Promise<number>;
}

interface ArmWork {
  readonly sweep: ShortSweep;
  readonly folder: string;
  readonly places: number;
  readonly threads: number;
}

export const armNames = ["loop", "embedded", "worker", "loops", "workers"] as const;
export type ArmName = (typeof armNames)[number];

const arms: Readonly<Record<ArmName, Arm>> = {
  loop: { what: "penni compress, one after the other", places: 1, run: loop },
  embedded: { what: "penni sweep without a queue", places: 1, against: "loop", run: embedded },
  worker: { what: "penni sweep --queue, one worker", places: 1, against: "loop", run: queued },
  loops: { what: "penni compress, two at a time", places: 2, run: loop },
  workers: { what: "penni sweep --queue, two workers", places: 2, against: "loops", run: queued },
};

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** As a script of a shell would. */
async function loop({ sweep, folder, places, threads }: ArmWork): Promise<number> {
  mkdirSync(path.join(folder, "trials"), { recursive: true });
  const left = [...sweep.values().entries()];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [number, values] = next;
      const directory = path.join(folder, "trials", trialFolder(number));
      const config = `${directory}.config.json`;
      writeFileSync(config, JSON.stringify({ compress: { ...sweep.base(threads), ...values } }));
      await penni(["compress", "--config", config, "-o", directory, "--quiet"]);
    }
  };
  return secondsOf(() => Promise.all(Array.from({ length: places }, lane)));
}

async function embedded({ sweep, folder, threads }: ArmWork): Promise<number> {
  return secondsOf(() => penni(["sweep", sweep.file(threads), "-o", folder]));
}

/** With a server and workers that are there before the sweep is: only that is timed. */
async function queued({ sweep, folder, places, threads }: ArmWork): Promise<number> {
  const redis = await TestRedis.start({ fsync: "everysec" });
  const store = `${folder}-store`;
  const fleet = new Fleet(redis.url, `${folder}-workers`, store);
  try {
    for (let index = 0; index < places; index++) fleet.grow();
    await fleet.ready();
    const words = ["sweep", sweep.file(threads), "-o", folder, "--store", store];
    return await secondsOf(() => penni(words, { PENNI_QUEUE: redis.url }));
  } finally {
    await fleet.end();
    await redis.end();
  }
}

export interface OverheadOptions {
  readonly folder: string;
  readonly size: ShortSize;
  readonly arms: readonly ArmName[];
  readonly rounds: number;
  readonly isJson: boolean;
  readonly print: (line: string) => void;
}

interface Measured {
  readonly arm: ArmName;
  readonly threads: number;
  /** Of each round. */
  readonly seconds: readonly number[];
  readonly networks: readonly string[];
}

/** The wall time of 24 short trials, through a queue and without; each arm in turn, round by round. */
export async function overhead(options: OverheadOptions): Promise<void> {
  const { folder, size, rounds, isJson, print } = options;
  const sweep = new ShortSweep(folder, size);
  const cores = availableParallelism();
  const found = new Map<ArmName, Measured>();
  for (let round = 0; round < rounds; round++)
    for (const name of options.arms) {
      const { places, run } = arms[name];
      const threads = Math.max(1, Math.floor(cores / places));
      const place = path.join(folder, `${name}-${round}`);
      const seconds = await run({ sweep, folder: place, places, threads });
      const before = found.get(name);
      const networks = networksIn(path.join(place, "trials"), size.trials);
      found.set(name, { arm: name, threads, seconds: [...(before?.seconds ?? []), seconds], networks });
      const each = (places * seconds) / size.trials;
      if (!isJson)
        print(
          `${name}, round ${round + 1}: ${seconds.toFixed(1)} s of wall time, ${each.toFixed(2)} s per trial`,
        );
    }
  const rows = [...found.values()].map((row) => compared(row, found));
  if (isJson) print(JSON.stringify({ cores, ...size, rounds, arms: rows }, null, 2));
  else for (const row of rows) print(describeRow(row, size.trials));
}

/** The fastest round counts: what else the machine does only adds to it. */
function compared({ arm, threads, seconds, networks }: Measured, found: ReadonlyMap<ArmName, Measured>) {
  const fastest = Math.min(...seconds);
  const { what, against } = arms[arm];
  const other = against === undefined ? undefined : found.get(against);
  const overheads =
    other === undefined
      ? {}
      : {
          against,
          overhead: fastest / Math.min(...other.seconds) - 1,
          equalNetworks: networks.filter((digest, index) => digest === other.networks[index]).length,
        };
  return { arm, what, threads, seconds, fastest, ...overheads };
}

function describeRow(
  { what, threads, fastest, against, overhead: more, equalNetworks }: ReturnType<typeof compared>,
  trials: number,
): string {
  const compare =
    more === undefined
      ? ""
      : `, ${more < 0 ? "" : "+"}${(100 * more).toFixed(1)} % against ${against}, ${equalNetworks} of ${trials} networks equal`;
  return `${what} (${trials} trials of ${threads} threads): ${fastest.toFixed(1)} s${compare}`;
}
