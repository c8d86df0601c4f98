import { availableParallelism, hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { type Command, InvalidArgumentError, Option } from "commander";
import { at, orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Bell } from "../queue/bell.js";
import type { SettingsCheck } from "../queue/document.js";
import { type ManifestKind, manifestKinds } from "../queue/manifest_kinds.js";
import type { WorkerReport } from "../queue/worker.js";
import { terminalLine } from "../text/destinations.js";
import { addExamples, type Example, headings } from "./help.js";
import { MOST_JOBS, numberBetween, wholeNumber } from "./options.js";
import { QUEUE_DESCRIPTION } from "./queue_option.js";
import { endSoon, exitAfter, onStop, StoppedError, type StopSignal } from "./stopping.js";
import type { Terminal } from "./terminal.js";
import { outlivingTerminal } from "./watched.js";

interface WorkerCommandOptions {
  readonly queue?: string;
  readonly store?: string;
  readonly work?: string;
  readonly jobs: number;
  readonly threads?: number;
  readonly dataMap?: readonly DataMapping[];
  readonly mixed?: boolean;
  readonly once?: boolean;
  readonly wait?: number;
  readonly lostAfter: number;
  readonly checkpointEvery: number;
  readonly name?: string;
  readonly print?: ManifestKind;
}

interface DataMapping {
  readonly from: string;
  readonly to: string;
}

const examples: readonly Example[] = [
  {
    what: "on each machine; the store is a directory that all of them see:",
    words: ["worker", "--queue redis://head:6379/0", "--store /shared/store"],
  },
  {
    what: "two trials at a time, images at another place than on the sweep's machine:",
    words: [
      "worker",
      "--queue redis://head:6379/0",
      "--store /shared/store",
      "--jobs 2",
      "--data-map /home/ann/photos=/data/photos",
    ],
  },
  { what: "a fleet:", words: ["worker", "--print k8s"] },
];

/** `penni worker`: takes trials of sweeps from a queue. */
export function addWorkerCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("worker")
    .description("run trials of sweeps on this machine, from a queue that any number of machines share")
    .optionsGroup("Where trials come from:")
    .option("--queue <url>", QUEUE_DESCRIPTION)
    .option(
      "--store <dir>",
      "the directory, seen by all machines, where models, checkpoints and results travel",
    )
    .option(
      "--data-map <from=to>",
      "a folder of images on the sweep's machine, and what it is here (repeatable); the content is compared",
      dataMap,
    )
    .optionsGroup(headings.work)
    .option("--jobs <n>", "trials at a time", wholeNumber(1, MOST_JOBS), 1)
    .option(
      "--threads <n>",
      "threads of a trial whose sweep does not say how many (default: all cores, divided by --jobs)",
      wholeNumber(1, MOST_JOBS),
    )
    .option(
      "--work <dir>",
      "where trials are computed (default: a new one below the system's temporary files)",
    )
    .option("--once", "end after one trial, or if none waits")
    .option(
      "--wait <s>",
      "seconds to wait for the queue, and for a sweep to make the store (default: until they are there; with --once 0)",
      numberBetween(0, 1e9),
    )
    .option("--mixed", "also take trials of another version of penni or ONNX Runtime; each result says which")
    .option(
      "--checkpoint-every <s>",
      "seconds from one upload of a trial's state to the next",
      numberBetween(0.05, 86_400),
      15,
    )
    .option(
      "--lost-after <s>",
      "seconds without a sign of life of a worker after which its trials go on elsewhere",
      numberBetween(1, 86_400),
      90,
    )
    .option("--name <name>", "what this worker is called (default: host and process)", workerName)
    .optionsGroup(headings.output)
    .addOption(
      new Option("--print <kind>", "print what runs a fleet of workers, and do nothing else").choices(
        manifestKinds,
      ),
    )
    .action(async (options: WorkerCommandOptions) => {
      if (options.print !== undefined) {
        const { manifest } = await import("../queue/manifests.js");
        terminal.stdout.write(manifest(options.print));
        return;
      }
      await outlivingTerminal(() => work(options, program, terminal));
    });
  return addExamples(command, examples);
}

function dataMap(text: string, previous: readonly DataMapping[] = []): readonly DataMapping[] {
  const found = /^(\/[^=]*?)\/?=(\/.*?)\/?$/.exec(text);
  if (found !== null) return [...previous, { from: at(found, 1), to: at(found, 2) }];
  throw new InvalidArgumentError(`expected /FROM=/TO, found "${text}"`);
}

function workerName(text: string): string {
  if (/^[\w.-]{1,100}$/.test(text)) return text;
  throw new InvalidArgumentError(`expected letters, digits, ".", "-" and "_", found "${text}"`);
}

async function work(options: WorkerCommandOptions, program: Command, terminal: Terminal): Promise<void> {
  const { store } = options;
  if (store === undefined)
    throw new PenniError("bad-option", "where the store is, is not given", {
      expected: "penni worker --queue URL --store DIR",
    });
  const { Bell } = await import("../queue/bell.js");
  const controller = new AbortController();
  const bell = new Bell();
  let stopped: StopSignal | undefined;
  const release = onStop((signal) => {
    if (stopped !== undefined) exitAfter(signal);
    stopped = signal;
    terminal.stderr.write("ending: trials are given back with a checkpoint; a second signal ends at once\n");
    controller.abort();
    bell.ring();
  });
  const notice = (text: string): void => void terminal.stderr.write(`${terminalLine(text)}\n`);
  try {
    const check = await settingsCheck(program);
    await takeTrials(options, store, check, { signal: controller.signal, bell, notice });
  } finally {
    release();
  }
  if (stopped === undefined) return;
  const error = new StoppedError(new PenniError("interrupted", "the worker was asked to end"), stopped);
  endSoon(error);
  throw error;
}

/** How the worker is asked to end, and where it says what happens. */
interface Attendance {
  readonly signal: AbortSignal;
  /** Rings when the signal is aborted. */
  readonly bell: Bell;
  readonly notice: (text: string) => void;
}

/** Waits for queue and store, and takes trials until it is asked to end. */
async function takeTrials(
  options: WorkerCommandOptions,
  directory: string,
  check: SettingsCheck,
  { signal, bell, notice }: Attendance,
): Promise<void> {
  const [
    { queueAddress },
    { DirectoryStore },
    { awaitMarked },
    { awaitServer },
    { WorkDirectory },
    { inProcess },
    { runWorker },
    { resultVersions },
  ] = await Promise.all([
    import("../queue/address.js"),
    import("../queue/directory_store.js"),
    import("../queue/store_marker.js"),
    import("../queue/server.js"),
    import("../queue/work_directory.js"),
    import("../queue/computation.js"),
    import("../queue/worker.js"),
    import("../sweep/provenance.js"),
  ]);
  const address = queueAddress(options.queue);
  const versions = resultVersions();
  const worker = options.name ?? `${hostname()}-${process.pid}`;
  notice(`worker ${worker}: penni ${versions.penni}, ONNX Runtime ${versions.onnxruntime}`);
  const until = performance.now() + 1000 * secondsToWait(options);
  const left = (): number => Math.max(0, until - performance.now());
  // First: what is wrong with the address is said before anything is waited for.
  await awaitServer(address, { limitMs: left(), bell, notice });
  await awaitMarked(directory, { limitMs: left(), bell, notice });
  if (signal.aborted) return;
  const store = await DirectoryStore.open(directory);
  // Otherwise each trial would only find out, and fail.
  await store.checkWritable();
  const work = await WorkDirectory.make(options.work);
  try {
    const compute = inProcess([process.execPath, fileURLToPath(new URL("./main.js", import.meta.url))]);
    const threads = orDefault(options.threads, threadsFor(options.jobs));
    const local = { maps: orDefault(options.dataMap, []), check, threads };
    const uploadMs = 1000 * options.checkpointEvery;
    const report = await runWorker({
      address,
      workshop: { store, work, compute, local, versions, worker, lookMs: LOOK_MS, uploadMs, notice },
      jobs: options.jobs,
      isMixed: options.mixed === true,
      isOnce: options.once === true,
      lostAfterMs: 1000 * options.lostAfter,
      waitMs: left(),
      signal,
    });
    notice(describeReport(report));
  } finally {
    await work.remove();
  }
}

function secondsToWait({ wait, once }: WorkerCommandOptions): number {
  return wait ?? (once === true ? 0 : Number.POSITIVE_INFINITY);
}

const LOOK_MS = 500;

function threadsFor(jobs: number): number {
  return Math.max(1, Math.floor(availableParallelism() / jobs));
}

function describeReport({ done, failed, refused }: WorkerReport): string {
  return `${done} trials done, ${failed} attempts failed, ${refused} refused`;
}

/** Options that say where a run is, or what is shown of it: they are the worker's. */
const ofTheWorker = ["out", "open", "json", "model", "data", "classes", "teacher"];

/** What `penni compress` itself would say of settings, and no word more than it has. */
async function settingsCheck(program: Command): Promise<SettingsCheck> {
  const { commandSchema } = await import("./config_schema.js");
  const compress = program.commands.find((command) => command.name() === "compress");
  if (compress === undefined) throw new PenniError("internal", "there is no command compress");
  const schema = commandSchema(compress);
  const { describeIssues } = await import("../queue/names.js");
  return ({ teacher, ...settings }) => {
    const forbidden = Object.keys(settings).filter((name) => ofTheWorker.includes(name));
    const checked = schema.safeParse(settings);
    const isNamed = teacher === undefined || teacher === "original" || teacher === "recovered";
    if (checked.success && forbidden.length === 0 && isNamed) return;
    throw new PenniError("bad-file", "refused a trial with settings that it may not have", {
      found:
        forbidden.length > 0
          ? forbidden.join(", ")
          : checked.success
            ? "teacher"
            : describeIssues(checked.error),
    });
  };
}
