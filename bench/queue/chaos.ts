import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { TestRedis } from "../../support/redis_server.js";
import { Fleet, penni } from "./fleet.js";
import { networksIn, type ShortSize, ShortSweep } from "./short_sweep.js";

export interface ChaosOptions {
  readonly folder: string;
  readonly size: ShortSize;
  readonly workers: number;
  /** Seconds between kills. */
  readonly every: number;
  /** The directory of the undisturbed sweep, of the same size; it is made where none is given. */
  readonly against: string | undefined;
  readonly print: (line: string) => void;
}

const RESTARTS = 2;
const AWAY_MS = 3000;

const paretoSchema = z.object({
  fronts: z.array(
    z.object({
      by: z.array(z.string()),
      trials: z.array(z.object({ number: z.number(), figures: z.record(z.string(), z.number()) })),
    }),
  ),
});

/**
 * A sweep on workers that are killed in turn, with Redis restarted twice, against the same one undisturbed: the same
 * networks and the same Pareto fronts (but for those by measured time, which is never the same twice).
 */
export async function chaos(options: ChaosOptions): Promise<void> {
  const { folder, size, print } = options;
  const sweep = new ShortSweep(folder, size);
  const plain = options.against ?? path.join(folder, "undisturbed");
  if (options.against === undefined) await run(options, sweep, plain, false);
  const disturbed = path.join(folder, "disturbed");
  await run(options, sweep, disturbed, true);
  const [expected, found] = [plain, disturbed].map((root) =>
    networksIn(path.join(root, "trials"), size.trials),
  );
  const different = expected?.filter((digest, index) => digest !== found?.[index]).length;
  print(`${different} of ${size.trials} networks differ`);
  const [before, after] = [fronts(plain), fronts(disturbed)];
  for (const [name, front] of before) print(`${name}: trials ${front.join("; ")}`);
  const isSame = JSON.stringify([...before]) === JSON.stringify([...after]);
  print(isSame ? "the Pareto fronts are the same" : `other Pareto fronts: ${JSON.stringify([...after])}`);
  if (different !== 0 || !isSame) process.exitCode = 1;
}

/** What is on each front, with the figures that it is by. */
function fronts(root: string): ReadonlyMap<string, readonly string[]> {
  const { fronts: all } = paretoSchema.parse(
    JSON.parse(readFileSync(path.join(root, "pareto.json"), "utf8")),
  );
  return new Map(
    all
      .filter(({ by }) => !by.some((name) => name.endsWith("Ms")))
      .map(({ by, trials }) => [
        by.join(" and "),
        trials.map(({ number, figures }) => `${number} (${by.map((name) => figures[name]).join(", ")})`),
      ]),
  );
}

async function run(
  { folder, workers, every, print }: ChaosOptions,
  sweep: ShortSweep,
  root: string,
  isDisturbed: boolean,
): Promise<void> {
  const redis = await TestRedis.start();
  const store = `${root}-store`;
  const fleet = new Fleet(redis.url, folder, store, ["--lost-after", "5", "--checkpoint-every", "1"]);
  try {
    for (let index = 0; index < workers; index++) fleet.grow();
    const started = performance.now();
    const ended = penni(["sweep", sweep.file(1), "-o", root, "--store", store], { PENNI_QUEUE: redis.url });
    const kills = isDisturbed ? await disturb(ended, redis, fleet, every, print) : 0;
    await ended;
    const seconds = (performance.now() - started) / 1000;
    print(`${path.basename(root)}: ${seconds.toFixed(0)} s, ${kills} workers killed`);
  } finally {
    await fleet.end();
    await redis.end();
  }
}

/** Kills a worker every so many seconds until the sweep has ended, and restarts Redis twice. @returns how many were killed */
async function disturb(
  ended: Promise<void>,
  redis: TestRedis,
  fleet: Fleet,
  every: number,
  print: (line: string) => void,
): Promise<number> {
  const isOver = ended.then(
    () => true,
    () => true,
  );
  for (let kills = 0; ; kills++) {
    if (await Promise.race([isOver, sleep(1000 * every).then(() => false)])) return kills;
    fleet.kill();
    if (kills >= RESTARTS) continue;
    await redis.down();
    await sleep(AWAY_MS);
    await redis.up();
    print("  Redis was restarted");
  }
}
