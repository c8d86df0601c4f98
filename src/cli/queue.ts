import { Argument, type Command } from "commander";
import type { QueueAction, QueueStatus } from "../queue/administration.js";
import { terminalJson, terminalLine } from "../text/destinations.js";
import { addExamples, type Example, headings } from "./help.js";
import { QUEUE_DESCRIPTION } from "./queue_option.js";
import type { Terminal } from "./terminal.js";

interface QueueCommandOptions {
  readonly queue?: string;
  readonly json?: boolean;
}

const actions = {
  status: "how it stands",
  pause: "begin no more trials; those that run go on",
  resume: "go on after pause",
  drain: "take trials off that wait; their sweeps stop waiting for them",
} as const satisfies Record<QueueAction, string>;

const examples: readonly Example[] = [
  { what: "how it stands:", words: ["queue", "status", "--queue redis://head:6379/0"] },
  { what: "begin no more trials for a while:", words: ["queue", "pause", "--queue redis://head:6379/0"] },
];

/** `penni queue`: looks at a queue of trials, and stops and empties it. */
export function addQueueCommand(program: Command, terminal: Terminal): Command {
  const described = Object.entries(actions).map(([name, what]) => `${name}: ${what}`);
  const command = program
    .command("queue")
    .description("look at the queue that workers take trials from; pause, resume or empty it")
    .addArgument(new Argument("<action>", described.join("; ")).choices(Object.keys(actions)))
    .optionsGroup("Which queue:")
    .option("--queue <url>", QUEUE_DESCRIPTION)
    .optionsGroup(headings.output)
    .option("--json", "print it as JSON")
    .action(async (action: QueueAction, options: QueueCommandOptions) => {
      const [{ administer }, { queueAddress }] = await Promise.all([
        import("../queue/administration.js"),
        import("../queue/address.js"),
      ]);
      const status = await administer(action, queueAddress(options.queue));
      const text = options.json === true ? terminalJson(status) : describeStatus(status);
      terminal.stdout.write(`${text}\n`);
    });
  return addExamples(command, examples);
}

const SHORT = 12;

function describeStatus(status: QueueStatus): string {
  const { queue, server, isPaused, waiting, delayed, running, done, failed, workers } = status;
  const mebibytes = (server.usedMemoryBytes / 2 ** 20).toFixed(1);
  return [
    `${queue}: Redis ${terminalLine(server.version)}, ${mebibytes} MiB${isPaused ? "; paused" : ""}`,
    `${waiting} waiting, ${delayed} to be tried again, ${running.length} running, ${done} done, ${failed.length} failed`,
    `workers: ${workers.length === 0 ? "none" : terminalLine(workers.join(", "))}`,
    ...running.map(
      ({ trial, worker, attempt, seconds }) =>
        `  ${trial.slice(0, SHORT)} on ${terminalLine(worker)} for ${seconds} s${attempt > 1 ? `, attempt ${attempt}` : ""}`,
    ),
    ...failed.map(
      ({ trial, reason, attempts }) =>
        `  ${trial.slice(0, SHORT)} failed (${attempts} attempts): ${terminalLine(reason)}`,
    ),
  ].join("\n");
}
