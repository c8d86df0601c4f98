import { Command, CommanderError } from "commander";
import { penniVersion } from "../files/version.js";
import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { SELF_CHECK } from "../graph/self_check.js";
import { terminalJson, terminalLine } from "../text/destinations.js";
import { addBenchCommand } from "./bench.js";
import { addCompileCommand } from "./compile.js";
import { addCompletionCommand } from "./completion.js";
import { addCompressCommand } from "./compress.js";
import { configuredNames } from "./configured.js";
import { addDemoCommand } from "./demo.js";
import { describeError, errorRecord } from "./describe_error.js";
import { easyArguments } from "./easy.js";
import { addEvalCommand } from "./eval.js";
import { addExportCommand } from "./export.js";
import { addExamples, type Example, formatItem, headings } from "./help.js";
import { addInspectCommand } from "./inspect.js";
import { addNewCommand } from "./new.js";
import { addQueueCommand } from "./queue.js";
import { addReportCommand } from "./report.js";
import { addSchemaCommand } from "./schema.js";
import { addSensitivityCommand } from "./sensitivity.js";
import { StoppedError } from "./stopping.js";
import { addSweepCommand } from "./sweep.js";
import { lineWidth, Output, type OutputStream, type Terminal } from "./terminal.js";
import { addTrainCommand } from "./train.js";
import { addWorkerCommand } from "./worker.js";

type AddCommand = (
  program: Command,
  terminal: Terminal,
  args: readonly string[],
) => Command | Promise<Command>;

const examples: readonly Example[] = [
  { what: "look at a model:", words: ["net.onnx"] },
  { what: "make it smaller, with pictures such as it sees:", words: ["net.onnx", "photos"] },
  { what: "all that can be chosen:", words: ["compress", "--help"] },
];

/** Columns that text is broken into, however narrow the terminal is. */
const NARROWEST_TEXT = 20;
/** Columns; longer lines are hard to read. */
const WIDEST_HELP = 100;

/** Every command, in the order of the help text. */
const commands: readonly AddCommand[] = [
  addCompressCommand,
  addSweepCommand,
  addCompileCommand,
  addEvalCommand,
  addExportCommand,
  addInspectCommand,
  addSensitivityCommand,
  addReportCommand,
  addBenchCommand,
  addNewCommand,
  addTrainCommand,
  addWorkerCommand,
  addQueueCommand,
  addDemoCommand,
  addSchemaCommand,
  addCompletionCommand,
];

/** The whole command line, ready to parse these words. */
export async function createProgram(terminal: Terminal, args: readonly string[]): Promise<Command> {
  const program = new Command("penni")
    .description("Makes a trained convolutional network small and fast: ONNX in, a smaller ONNX file out.")
    .usage("MODEL.onnx [PICTURES]\n       penni [options] [command]")
    .version(penniVersion(), "-v, --version", "print the version")
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ formatItem, minWidthToWrap: NARROWEST_TEXT })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      getOutHelpWidth: () => Math.min(lineWidth(terminal.stdout), WIDEST_HELP),
      // What commander would print about an error is printed by runCommandLine, in one line.
      writeErr: (text) => {
        if (args.length === 0) terminal.stderr.write(text);
      },
      getErrHelpWidth: () => Math.min(lineWidth(terminal.stderr), WIDEST_HELP),
    });
  for (const addCommand of commands) {
    const command = await addCommand(program, terminal, args);
    command
      .optionsGroup(headings.help)
      .option("-q, --quiet", "print only results and errors")
      .option("--verbose", "print the stack trace of an error")
      .option("--debug", "check graphs after every step, and compiled programs: slower")
      .helpOption("-h, --help", "show this help")
      .hook("preAction", async (started) => {
        const { quiet, debug } = started.opts();
        if (quiet === true) terminal.stderr.beQuiet();
        await configure(started, terminal);
        // Also for the processes that the command starts.
        if (debug === true) process.env[SELF_CHECK] = "1";
      });
  }
  return addExamples(program, examples);
}

/** Takes what a configuration file says for a command that there are such for. */
async function configure(command: Command, { stderr }: Terminal): Promise<void> {
  if (!configuredNames.some((name) => name === command.name())) return;
  const { applyConfig } = await import("./config_file.js");
  const file = await applyConfig(command);
  if (file !== undefined) stderr.write(`settings from ${terminalLine(file)}\n`);
}

/**
 * Runs one command line (without node and script). Errors become one line on stderr, with --verbose their stack trace,
 * and with --json, where there is no result, {"error": ...} on stdout. Returns the exit status: 0, 1 after an error or
 * where stdout cannot be written, or 130 and 143 where Ctrl-C and SIGTERM stopped the work.
 */
export async function runCommandLine(
  args: readonly string[],
  out: OutputStream,
  err: OutputStream,
): Promise<number> {
  const terminal = { stdout: new Output(out, "standard output"), stderr: new Output(err, "standard error") };
  const status = await runCommand(args, terminal);
  const unprinted = await terminal.stdout.finish();
  if (unprinted !== undefined) report(unprinted, args, terminal);
  // Whether that, or progress, could be printed changes nothing: nobody could be told.
  await terminal.stderr.finish();
  return status === 0 && unprinted !== undefined ? 1 : status;
}

async function runCommand(given: readonly string[], terminal: Terminal): Promise<number> {
  if (given.length === 0) {
    (await createProgram(terminal, given)).outputHelp({ error: true });
    return 1;
  }
  let args = given;
  try {
    args = (await easyArguments(given, terminal, (words) => optionsOfCompress(words, terminal))) ?? given;
    const program = await createProgram(terminal, args);
    checkHelpTopic(program, args);
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const [root, command] = [await rootOf(error, args, terminal), await commandOf(args, terminal)];
    report(root, args, terminal, command);
    answer(root, args, terminal, command);
    return error instanceof StoppedError ? error.status : 1;
  }
}

/** Where an option is misspelt, what commander says of its name: before that something is missing, and without its value. */
async function rootOf(error: unknown, args: readonly string[], terminal: Terminal): Promise<unknown> {
  if (!(error instanceof CommanderError) || !ofMisspelt.has(error.code)) return error;
  const program = await createProgram(terminal, args);
  for (const command of program.commands) {
    command.action(() => undefined);
    for (const option of command.options) option.makeOptionMandatory(false);
  }
  const names = args.map((word) => word.replace(/^(--[^=]+)=.*$/s, "$1"));
  return program.parseAsync(names, { from: "user" }).then(
    () => error,
    (other: unknown) => (other instanceof CommanderError && other.code === UNKNOWN ? other : error),
  );
}

const UNKNOWN = "commander.unknownOption";

/** Errors that a misspelt option may be behind. */
const ofMisspelt: ReadonlySet<string> = new Set([UNKNOWN, "commander.missingMandatoryOptionValue"]);

/** The command compress with the values that words after it give its options. */
async function optionsOfCompress(words: readonly string[], terminal: Terminal): Promise<Command> {
  const stderr = new Output(terminal.stderr.stream, "standard error");
  stderr.beQuiet();
  const program = await createProgram({ ...terminal, stderr }, ["compress", ...words]);
  const command = present(program.commands.find((one) => one.name() === "compress"));
  await command.action(() => undefined).parseAsync(words, { from: "user" });
  return command;
}

/** @throws PenniError "bad-option" for help on a command that there is not */
function checkHelpTopic(program: Command, [first, topic]: readonly string[]): void {
  const names = program.commands.map((command) => command.name());
  if (first !== "help" || topic === undefined || topic === "help" || names.includes(topic)) return;
  throw new PenniError("bad-option", "there is no such command to help with", {
    expected: names.join(", "),
    found: `"${topic}"`,
  });
}

/** The name of the command that was given, if there is such a one. */
async function commandOf([first]: readonly string[], terminal: Terminal): Promise<string | undefined> {
  const { commands } = await createProgram(terminal, ["help"]);
  return commands.find((command) => command.name() === first)?.name();
}

function report(error: unknown, args: readonly string[], { stderr }: Terminal, command?: string): void {
  stderr.insist(`penni: ${describeError(error, command)}\n`);
  if (isAsked("--verbose", args) && error instanceof Error) stderr.insist(`${error.stack}\n`);
}

/** Whether an option without a value is among the words: what stands behind "--" is none. */
function isAsked(option: string, args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? args.length : end).includes(option);
}

/** With --json, stdout holds one JSON text whatever happens: where there is no result, the error. */
function answer(error: unknown, args: readonly string[], { stdout }: Terminal, command?: string): void {
  if (!isAsked("--json", args) || !stdout.isEmpty) return;
  stdout.write(`${terminalJson({ error: errorRecord(error, command) })}\n`);
}
