import { existsSync } from "node:fs";
import path from "node:path";
import { PenniError } from "../graph/errors.js";
import { terminalLine } from "../text/destinations.js";
import type { Terminal } from "./terminal.js";

/**
 * The arguments that stand for `penni MODEL.onnx [PICTURES] [options of compress]`: without pictures a look at the model,
 * with them a calibrated compression into a directory of its own. What was found and what is about to happen is said.
 * @returns undefined where the first argument is no model
 * @throws PenniError "bad-option" if there are no such pictures, and whatever reading the model throws
 */
export async function easyArguments(
  args: readonly string[],
  terminal: Terminal,
): Promise<readonly string[] | undefined> {
  const [model, pictures, ...options] = args;
  if (model === undefined || !/^[^-].*\.onnx$/i.test(model)) return undefined;
  if (pictures === undefined || pictures.startsWith("-")) return ["inspect", ...args];
  if (args.some((word) => word === "-q" || word === "--quiet")) terminal.stderr.beQuiet();
  const say = (line: string): void => terminal.stderr.write(`${terminalLine(line)}\n`);
  const spec = await pictureSpec(model, pictures, say);
  for (const line of await expectationOf(model)) say(line);
  const isGiven = (...names: readonly string[]): boolean =>
    options.some((option) => names.some((name) => option === name || option.startsWith(`${name}=`)));
  const chosen = ["compress", model, "--data", spec, ...options];
  if (!isGiven("--preset")) chosen.push("--preset", "calibrate");
  if (!isGiven("-o", "--out", "--plan")) chosen.push("-o", freeDirectory(model));
  say(`Doing this, which options behind it change (penni compress --help): penni ${chosen.join(" ")}`);
  if (!isGiven("--preset")) say("With labels, --preset fast retrains as well: better, and slower.");
  return chosen;
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

async function expectationOf(model: string): Promise<readonly string[]> {
  const [{ inspectFile }, { describeExpectation }] = await Promise.all([
    import("./inspect.js"),
    import("./expectation_text.js"),
  ]);
  const { layers } = await inspectFile(model, new Map());
  return describeExpectation(layers).flatMap((text) => text.split("\n"));
}

/** NAME-penni beside nothing of that name, in the present directory. */
function freeDirectory(model: string): string {
  const stem = `${path.basename(model).replace(/\.onnx$/i, "")}-penni`;
  for (let count = 1; ; count++) {
    const directory = count === 1 ? stem : `${stem}-${count}`;
    if (!existsSync(directory)) return directory;
  }
}
