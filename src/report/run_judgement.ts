import path from "node:path";
import type { RunConfig } from "../run/config.js";
import type { RunReport } from "./data/run.js";
import { counted, percent } from "./format.js";
import { type Judgement, judge } from "./judgement.js";
import { shellLine } from "./shell_words.js";

export interface RunJudgement extends Judgement {
  /** What to do next, and the command that does it. */
  readonly next: { readonly text: string; readonly command: string } | undefined;
}

/** What to think of a run as it stands. */
export function judgementOf(report: RunReport): RunJudgement {
  const { run, state, root } = report;
  if (run.outcome === undefined) return unfinished(report);
  if (run.kind === "training") {
    const { test } = run.outcome;
    return {
      level: "good",
      headline: `The network is trained: ${percent(test.correct / test.total)} top-1`,
      text: `Measured once, on ${counted(test.total, "test image")} that took no part in any choice.`,
      next: {
        text: "Make it small and fast:",
        command: shellLine([
          "penni",
          "compress",
          modelOf(root),
          "--data",
          run.config.data,
          "-o",
          `${root}-small`,
        ]),
      },
    };
  }
  const judged = judge(run.outcome);
  const finished = { ...judged, next: nextStep(judged, report, run.config) };
  return state === "running" ? { ...finished, text: `${finished.text} The run is still at work.` } : finished;
}

const modelOf = (root: string): string => path.join(root, "model.onnx");

function unfinished({ run, state, root, metrics }: RunReport): RunJudgement {
  const command = run.kind === "compression" ? "compress" : "train";
  const last = metrics.at(-1);
  const so =
    last === undefined ? "No epoch is over yet." : `Last: epoch ${last.epoch} of stage ${last.stage}.`;
  if (state === "running") {
    return {
      level: "open",
      headline: "The run is at work",
      text: `${so} Size, speed and accuracy are measured once, at the end.`,
      next: {
        text: "Follow it in a browser:",
        command: shellLine(["penni", "report", "--watch", root, "--open"]),
      },
    };
  }
  return {
    level: "open",
    headline: "The run was stopped before its end",
    text: `${so} There is no result yet; nothing that was done is lost.`,
    next: { text: "Go on with it:", command: shellLine(["penni", command, "--resume", root]) },
  };
}

/** Epochs of fine-tuning to suggest where accuracy was lost. */
const MORE_EPOCHS = 8;

/** Options with a value that the suggested command has anew. */
const replaced: readonly string[] = ["-o", "--out", "--fine-tune-epochs"];

function nextStep(judged: Judgement, report: RunReport, config: RunConfig): RunJudgement["next"] {
  const { level } = judged;
  const { root, sessions } = report;
  if (judged.doubt === "original") {
    const command = shellLine([
      "penni",
      "eval",
      config.model,
      "--data",
      config.data,
      "--classes",
      "classes.txt",
    ]);
    return { text: "See which classes or which way to take pictures makes the original right:", command };
  }
  if (level === "good" || level === "open") {
    const compile = ["penni", "compile", modelOf(root), "--target", "wasm", "--example"];
    const command = shellLine([...compile, "-o", path.join(root, "wasm")]);
    const text =
      level === "good"
        ? "Compile it for a page, where its zeros make it fast:"
        : "See what it makes of your own pictures, on a page:";
    return { text, command };
  }
  const epochs = Math.max(MORE_EPOCHS, Math.ceil(2 * config.settings.fineTune.epochs));
  const given = sessions.find(({ command }) => command[1] === "compress" && !command.includes("--resume"));
  const words = given?.command ?? [
    "penni",
    "compress",
    config.model,
    "--data",
    config.data,
    "--preset",
    config.preset,
  ];
  const isReplaced = (word: string | undefined): boolean => word !== undefined && replaced.includes(word);
  const kept = words.filter((word, index) => !isReplaced(word) && !isReplaced(words[index - 1]));
  const command = shellLine([...kept, "--fine-tune-epochs", `${epochs}`, "-o", `${root}-longer`]);
  return { text: "Train longer, into a new directory:", command };
}
