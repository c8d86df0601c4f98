import path from "node:path";
import type { Command } from "commander";
import { messageOf, PenniError } from "../graph/errors.js";
import { shellLine } from "../report/shell_words.js";
import type { SweepDirectory } from "../sweep/directory.js";
import type { TrialMaker } from "../sweep/engine.js";
import type { TrialRunner } from "../sweep/trial.js";
import { terminalJson, terminalLine } from "../text/destinations.js";
import { refuseExtra } from "./extra.js";
import { addExamples, type Example, headings } from "./help.js";
import { numberBetween, wholeNumber } from "./options.js";
import { QUEUE_DESCRIPTION } from "./queue_option.js";
import { endSoon, StoppedError } from "./stopping.js";
import type { RunnerOptions } from "./sweep_runner.js";
import { lineWidth, type Terminal } from "./terminal.js";
import { advising, watched } from "./watched.js";

interface SweepOptions extends RunnerOptions {
  readonly out?: string;
  readonly resume?: string;
  readonly retryFailed?: boolean;
  readonly plan?: boolean;
  readonly json?: boolean;
  readonly open?: boolean;
}

const examples: readonly Example[] = [
  { what: "all combinations that a file asks for:", words: ["sweep", "sweep.yaml", "-o curve"] },
  { what: "only check the file, and say what would be run:", words: ["sweep", "sweep.yaml", "--plan"] },
  { what: "two at a time:", words: ["sweep", "sweep.yaml", "-o curve", "--jobs 2"] },
  { what: "go on after Ctrl-C:", words: ["sweep", "--resume curve"] },
  {
    what: "on the workers of a queue:",
    words: ["sweep", "sweep.yaml", "-o curve", "--queue redis://head:6379/0", "--store /shared/store"],
  },
];

/** `penni sweep`: many compressions over axes of settings. */
export function addSweepCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("sweep")
    .description("compress with many settings: one table, one curve of accuracy against cost")
    .argument("[file]", "what to go through: a .json, .yaml or .mjs file (penni schema sweep)")
    .optionsGroup(headings.result)
    .option("-o, --out <dir>", "directory of the sweep: new or empty")
    .option("--resume <dir>", "go on with a sweep that was stopped or killed")
    .option("--retry-failed", "with --resume, try trials that failed again")
    .optionsGroup(headings.work)
    .option("--jobs <n>", "trials at a time, which share the cores (1), or in a queue (16)", wholeNumber(1))
    .option("--queue <url>", `compute on the workers (penni worker) of this queue: ${QUEUE_DESCRIPTION}`)
    .option(
      "--store <dir>",
      "of a queue: the directory, seen by all workers, where models and results travel",
    )
    .option(
      "--wait <s>",
      "of a queue: seconds to wait for it (default: until it is there)",
      numberBetween(0, 1e9),
    )
    .optionsGroup(headings.output)
    .option("--plan", "only check the file, the models and the data, and print the trials")
    .option("--open", "show the report in a browser while the sweep goes on")
    .option("--json", "print the results as JSON")
    .action((file: string | undefined, options: SweepOptions) => runSweepCommand(file, options, terminal));
  return addExamples(command, examples);
}

async function runSweepCommand(
  file: string | undefined,
  options: SweepOptions,
  terminal: Terminal,
): Promise<void> {
  checkCall(file, options);
  if (file !== undefined && options.plan === true) return printPlan(file, options, terminal);
  const { runnerFor } = await import("./sweep_runner.js");
  const openRunner = await runnerFor(options, (text) => terminal.stderr.write(`${terminalLine(text)}\n`));
  const begin =
    options.resume === undefined
      ? await startSweep(String(file), String(options.out), terminal)
      : await openSweep(options.resume, options.retryFailed === true, terminal);
  // Behind what can be wrong with the files, as it may wait; a queue that is not there leaves no directory behind.
  const runner = await openRunner();
  try {
    const { sweep, make } = await begin();
    await compute(sweep, make, runner, options, terminal);
    await printResults(sweep, options, terminal);
  } catch (error) {
    await runner.close();
    if (error instanceof StoppedError) endSoon(error);
    throw error;
  }
  await runner.close();
}

/** @throws PenniError "bad-option" if it is not clear what is to be done */
function checkCall(file: string | undefined, options: SweepOptions): void {
  const { out, resume, plan, retryFailed, open, queue, store, wait } = options;
  const isWhole =
    resume === undefined
      ? file !== undefined && (out !== undefined || plan === true)
      : file === undefined && out === undefined;
  const found = [
    ...(file === undefined ? [] : [file]),
    ...(out === undefined ? [] : ["-o"]),
    ...(resume === undefined ? [] : ["--resume"]),
  ].join(" ");
  if (!isWhole) {
    throw new PenniError("bad-option", "what to sweep is not fully given", {
      expected: "penni sweep FILE -o DIR, penni sweep FILE --plan, or penni sweep --resume DIR",
      ...(found === "" ? {} : { found }),
    });
  }
  refuseExtra([
    { name: "--plan", isExtra: resume !== undefined && plan === true, expected: "a sweep file" },
    {
      name: "--retry-failed",
      isExtra: resume === undefined && retryFailed === true,
      expected: "--resume DIR",
    },
    {
      name: "--wait",
      isExtra: wait !== undefined && queue === undefined && store === undefined,
      expected: "--queue URL --store DIR",
    },
    { name: "--open", isExtra: plan === true && open === true, expected: "-o DIR" },
  ]);
}

interface OpenSweep {
  readonly sweep: SweepDirectory;
  readonly make: TrialMaker;
}

/** Checks all that can be checked of a new sweep. @returns what makes its directory */
async function startSweep(file: string, out: string, terminal: Terminal): Promise<() => Promise<OpenSweep>> {
  const { SweepDirectory } = await import("../sweep/directory.js");
  await SweepDirectory.checkFree(out);
  const { spec, settings, digests } = await checkedSweep(file, terminal);
  const inputs = await digests.all();
  return async () => ({ sweep: await SweepDirectory.create(out, spec, inputs), make: settings.make });
}

/** A sweep file, and all that can be checked of it. */
async function checkedSweep(file: string, terminal: Terminal) {
  const [{ InputDigests }, { checkTrials, readSweepFile }, { compressCommand, TrialSettings }] =
    await Promise.all([
      import("../sweep/identity.js"),
      import("./sweep_file.js"),
      import("./sweep_settings.js"),
    ]);
  const spec = await readSweepFile(file, await compressCommand(terminal));
  const digests = new InputDigests();
  const settings = new TrialSettings(terminal, spec, digests, file);
  terminal.stderr.write("checking models and data ...\n");
  await checkTrials(spec, settings);
  return { spec, settings, digests };
}

/** @returns what goes on with a sweep that is there */
async function openSweep(
  root: string,
  isRetrying: boolean,
  terminal: Terminal,
): Promise<() => Promise<OpenSweep>> {
  const [{ readSweep, SweepDirectory, SWEEP }, { retryFailed }, { InputDigests }, { TrialSettings }] =
    await Promise.all([
      import("../sweep/directory.js"),
      import("../sweep/engine.js"),
      import("../sweep/identity.js"),
      import("./sweep_settings.js"),
    ]);
  await readSweep(root);
  return async () => {
    const sweep = await SweepDirectory.open(root);
    if (isRetrying) retryFailed(sweep);
    const settings = new TrialSettings(terminal, sweep.spec, new InputDigests(), SWEEP);
    return { sweep, make: settings.make };
  };
}

async function printPlan(file: string, { json }: SweepOptions, terminal: Terminal): Promise<void> {
  const { spec } = await checkedSweep(file, terminal);
  const [{ studyOf }, { describeValues }] = await Promise.all([
    import("../sweep/search_of.js"),
    import("./sweep_settings.js"),
  ]);
  const study = studyOf(spec, []);
  // What a search that learns comes to nobody knows.
  const isKnown = spec.search.kind !== "tpe";
  const trials: ReturnType<typeof study.ask>[] = [];
  while (isKnown && !study.isExhausted) trials.push(study.ask());
  if (json === true) {
    terminal.stdout.write(`${terminalJson({ ...spec, ...(isKnown ? { trials } : {}) })}\n`);
    return;
  }
  for (const { number, params } of trials) terminal.stdout.write(`${number}: ${describeValues(params)}\n`);
  if (spec.search.kind === "tpe")
    terminal.stdout.write(`${spec.search.trials} trials, each chosen by what those before it came to\n`);
}

/** Computes what is missing, under a line for each thing that happens. Whatever ends it, the report says how far it is. */
async function compute(
  sweep: SweepDirectory,
  make: TrialMaker,
  runner: TrialRunner,
  { open, store }: SweepOptions,
  { stderr }: Terminal,
): Promise<void> {
  const [{ runSweep }, { ResultsKeeper, narrator }, { SweepSource }, { openServed }] = await Promise.all([
    import("../sweep/engine.js"),
    import("./sweep_view.js"),
    import("../report/sweep_page.js"),
    import("./reported.js"),
  ]);
  const source = new SweepSource(sweep.root);
  const say = (text: string): void => void stderr.write(`${text}\n`);
  const failed = (error: unknown): void => say(`no report: ${messageOf(error)}`);
  const keeper = new ResultsKeeper(sweep, source, failed);
  const server = open === true ? await openServed(source, say).catch(failed) : undefined;
  let fault: { readonly error: unknown } | undefined;
  const again = goingOn(sweep, store);
  try {
    // There from the start, for whatever ends it.
    await keeper.renew();
    await watched(stderr, (_view, signal) =>
      advising(`Go on with: ${again}`, () =>
        runSweep({ sweep, runner, make, signal, listener: narrator(sweep, keeper, stderr) }),
      ),
    );
  } catch (error) {
    fault = { error };
  }
  // What ended the sweep is what is to be told, not what that makes of these.
  await keeper.writeResults().catch((error: unknown) => {
    fault ??= { error };
  });
  await sweep.close();
  const page = await keeper.writePage();
  if (page !== undefined) say(`report: ${path.join(sweep.root, page)}`);
  await server?.close();
  if (fault !== undefined) throw fault.error;
}

/** The command line by which a sweep goes on. */
function goingOn({ root }: SweepDirectory, store: string | undefined, ...more: readonly string[]): string {
  // An address may hold a password.
  const where = store === undefined ? [] : ["--queue", "URL", "--store", store];
  return shellLine(["penni", "sweep", "--resume", root, ...where, ...more]);
}

async function printResults(
  sweep: SweepDirectory,
  { json, store }: SweepOptions,
  { stdout }: Terminal,
): Promise<void> {
  const [{ resultsOf }, { describeSweep }] = await Promise.all([
    import("../sweep/results.js"),
    import("./sweep_text.js"),
  ]);
  const results = resultsOf(sweep);
  const axes = Object.keys(sweep.spec.axes);
  const text =
    json === true
      ? terminalJson({ directory: sweep.root, ...results })
      : describeSweep(results, axes, lineWidth(stdout));
  stdout.write(`${text}\n`);
  const failed = results.trials.filter(({ status }) => status === "failed").length;
  if (failed === 0) return;
  throw new PenniError("training", `${failed} of ${results.trials.length} trials failed`, {
    advice: `The table says why; try them again with: ${goingOn(sweep, store, "--retry-failed")}`,
  });
}
