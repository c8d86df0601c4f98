import type { Command } from "commander";
import { PenniError } from "../graph/errors.js";
import { isGiven } from "./extra.js";

/** Options that say nothing about the run itself, but where it goes on and what is printed. */
const besideResume: readonly string[] = [
  "resume",
  "device",
  "json",
  "open",
  "plan",
  "quiet",
  "verbose",
  "debug",
];

/**
 * Refuses a model or settings beside --resume: a run goes on with its own.
 * @param call the command's own beginning, as "penni compress"
 * @throws PenniError "bad-option" naming them
 */
export function checkResumeAlone(model: string | undefined, command: Command, call: string): void {
  const given = command.options.filter((option) => isGiven(command, option.attributeName()));
  const extra = given.filter((option) => !besideResume.includes(option.attributeName()));
  if (model === undefined && extra.length === 0) return;
  throw new PenniError("bad-option", "--resume goes on with the run's own model, data and settings", {
    expected: `${call} --resume DIR`,
    found: [...(model === undefined ? [] : [model]), ...extra.map((option) => option.long)].join(", "),
  });
}
