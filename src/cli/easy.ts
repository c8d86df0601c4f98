import { existsSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { PenniError } from "../graph/errors.js";
import type { PruneRule } from "../method/goal/schema.js";
import type { Settings } from "../run/config.js";
import type { PresetName } from "../run/names.js";
import { terminalLine } from "../text/destinations.js";
import type { InputShapes } from "./options.js";
import { duration } from "./run_view.js";
import type { Terminal } from "./terminal.js";

/**
 * The arguments that stand for `penni MODEL.onnx [PICTURES] [options of compress]`: without pictures a look at the model,
 * with them a calibrated compression into a directory of its own. What was found and what is about to happen is said.
 * @param chosenBy reads words as options of compress, configuration files included, without doing anything
 * @returns undefined where the first argument is no model
 * @throws PenniError "bad-option" if there are no such pictures, and whatever reading the model throws
 */
export async function easyArguments(
  args: readonly string[],
  terminal: Terminal,
  chosenBy: (words: readonly string[]) => Promise<Command>,
): Promise<readonly string[] | undefined> {
  const [model, pictures, ...options] = args;
  if (model === undefined || !/^[^-].*\.onnx$/i.test(model)) return undefined;
  if (pictures === undefined || pictures.startsWith("-")) return ["inspect", ...args];
  if (args.some((word) => word === "-q" || word === "--quiet")) terminal.stderr.beQuiet();
  const say = (line: string): void => terminal.stderr.write(`${terminalLine(line)}\n`);
  const spec = await pictureSpec(model, pictures, say);
  const given = await chosenBy(options);
  const isGiven = (name: string): boolean =>
    given.getOptionValueSource(name) !== undefined && given.getOptionValueSource(name) !== "default";
  const chosen = ["compress", model, "--data", spec, ...options];
  if (!isGiven("preset")) chosen.push("--preset", "calibrate");
  if (!isGiven("out") && !isGiven("plan")) chosen.push("-o", freeDirectory(model));
  const preset: PresetName = isGiven("preset") ? given.getOptionValue("preset") : "calibrate";
  for (const line of await outlookLines(model, preset, given)) say(line);
  say(`Doing this, which options behind it change (penni compress --help): penni ${chosen.join(" ")}`);
  if (!isGiven("preset")) say("With labels, --preset fast retrains as well: better, and slower.");
  return chosen;
}

/** What can be expected of a network and of what is about to happen to it. */
async function outlookLines(model: string, preset: PresetName, given: Command): Promise<readonly string[]> {
  const [{ outlookOn }, texts, { presets }, { askedCriterion }] = await Promise.all([
    import("./inspect.js"),
    import("./verdict_text.js"),
    import("../run/config.js"),
    import("../method/goal/criterion.js"),
  ]);
  const { basis, start, calibrationImages, prune } = presets[preset];
  const asked = ruleIn(given.opts()) ?? prune;
  const options: OutlookOptions = given.opts();
  const isCalibrated = (options.start ?? start) === "calibrate";
  const { verdict, seconds, slow } = await outlookOn(model, options.inputShape ?? new Map(), {
    fraction: askedCriterion(asked)?.fraction,
    calibration: isCalibrated
      ? { images: options.calibrationImages ?? calibrationImages, basis: options.basis ?? basis }
      : undefined,
  });
  const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
  return [
    `${model}: ${texts.describeSuitability(verdict)}.`,
    ...verdict.predictions.map((one) => sentence(texts.describePrediction(one, verdict.bytes))),
    ...(seconds === undefined || options.plan === true
      ? []
      : [
          `Calibrating takes about ${duration(seconds)} on two usual cores, with fewer pictures less; then what came of it is measured.`,
        ]),
    ...(slow === undefined ? [] : [sentence(`${slow.problem}. ${slow.advice}`)]),
  ];
}

interface OutlookOptions {
  readonly inputShape?: InputShapes;
  readonly start?: Settings["start"];
  readonly calibrationImages?: number;
  readonly basis?: number | "auto";
  readonly plan?: boolean;
}

/** The rule of pruning among the values of options. */
function ruleIn(options: Readonly<Record<string, unknown>>): PruneRule | undefined {
  return Object.values(options).find(
    (value): value is PruneRule => typeof value === "object" && value !== null && "rule" in value,
  );
}

async function pictureSpec(model: string, pictures: string, say: (line: string) => void): Promise<string> {
  const { guessSpec } = await import("../data/guess_spec.js");
  const guess = await guessSpec(pictures);
  if (guess === undefined) {
    if (/^[a-z\d]+(?::|$)/.test(pictures) && !existsSync(pictures)) return pictures;
    throw new PenniError("bad-option", "there are no pictures to calibrate with", {
      expected: "penni MODEL.onnx PICTURES, a folder of pictures such as the network sees",
      found: `"${pictures}"`,
    });
  }
  const scored = guess.classes === undefined ? undefined : await classesOf(model);
  if (guess.classes === undefined || scored === guess.classes) {
    say(`${pictures}: ${guess.looksLike}.`);
    return guess.spec;
  }
  say(
    `${pictures}: ${guess.looksLike}, which are not the model's ${scored ?? "outputs"}: taken without labels.`,
  );
  return `images:${pictures}`;
}

/** How many classes a model scores, if it does. */
async function classesOf(model: string): Promise<number | undefined> {
  const [{ readModel }, { scoredClasses }] = await Promise.all([
    import("../files/model_files.js"),
    import("../measure/classes.js"),
  ]);
  return scoredClasses(await readModel(model))?.classes;
}

/** NAME-penni beside nothing of that name, in the present directory. */
function freeDirectory(model: string): string {
  const stem = `${path.basename(model).replace(/\.onnx$/i, "")}-penni`;
  for (let count = 1; ; count++) {
    const directory = count === 1 ? stem : `${stem}-${count}`;
    if (!existsSync(directory)) return directory;
  }
}
