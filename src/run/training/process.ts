/** Entry of a training process, started by `launch.ts`: one plan, then it ends. */

import { machineError } from "../../files/machine_error.js";
import { messageOf, PenniError } from "../../graph/errors.js";
import { pruneForTraining } from "../../method/prune_for_training.js";
import { shrinkForTraining } from "../../method/shrink_for_training.js";
import { Trainer, type TrainerHooks } from "../../train/trainer.js";
import { surviveLostTerminal } from "./lost_terminal.js";
import type { FromTrainer, ToTrainer } from "./messages.js";

surviveLostTerminal();

let stopRequested = false;

/** Resolves when the message is on its way. That nobody is there to take it is told by "disconnect". */
function send(message: FromTrainer): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}

async function run(plan: Extract<ToTrainer, { kind: "start" }>["plan"]): Promise<void> {
  try {
    const hooks: TrainerHooks = {
      progress: (progress) => void send({ kind: "progress", progress }),
      epoch: (metrics) => void send({ kind: "epoch", metrics }),
      timing: (timing) => void send({ kind: "timing", timing }),
      notice: (text) => void send({ kind: "notice", text }),
      stopRequested: () => stopRequested,
    };
    const outcome = await Trainer.run(plan, hooks, {
      shrinker: shrinkForTraining,
      pruner: pruneForTraining,
    });
    await send({ kind: outcome });
  } catch (error) {
    await send(failure(error));
  }
  process.disconnect();
}

function failure(error: unknown): FromTrainer {
  const known = error instanceof PenniError ? error : machineError(error);
  if (known !== undefined) {
    const { code, problem, details, stack } = known;
    return { kind: "failed", code, problem, details, stack };
  }
  const problem = messageOf(error);
  const stack = error instanceof Error ? error.stack : undefined;
  return { kind: "failed", code: "internal", problem, details: {}, stack };
}

process.on("message", (message: ToTrainer) => {
  if (message.kind === "stop") stopRequested = true;
  else void run(message.plan);
});
// Terminals send Ctrl-C, and systems SIGTERM, to the whole group; the parent asks for the stop, so that it happens once.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
// The terminal was closed: the run goes on as its parent does.
process.on("SIGHUP", () => undefined);
// Nobody is left to report to: end rather than train on as an orphan.
process.on("disconnect", () => process.exit());
