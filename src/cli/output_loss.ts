import { InvalidArgumentError } from "commander";
import type { OutputChoice } from "../run/outputs.js";
import { type OutputMeasure, outputMeasures } from "../train/outputs.js";
import { accepting } from "./accepted.js";

/** After the output's name, which may hold any of these characters itself. */
const CHOICE = /^(?<measure>[a-z0-9-]+)(?:@(?<axis>\d+))?(?::(?<weight>.+))?$/;

/** Parser of the repeatable option NAME=MEASURE[@AXIS][:WEIGHT]. */
export const outputLoss = accepting<ReadonlyMap<string, OutputChoice>>(
  { kind: "entries" },
  (text, previous = new Map()) => {
    const equals = text.lastIndexOf("=");
    const name = text.slice(0, Math.max(0, equals));
    const choice = parseChoice(text.slice(equals + 1));
    if (name === "" || choice === undefined) {
      const measures = outputMeasures.join("|");
      throw new InvalidArgumentError(
        `expected NAME=${measures}[@AXIS][:WEIGHT] with a weight from 0, found "${text}"`,
      );
    }
    if (previous.has(name)) throw new InvalidArgumentError(`output "${name}" is given twice`);
    return new Map([...previous, [name, choice]]);
  },
);

function parseChoice(text: string): OutputChoice | undefined {
  const { measure, axis, weight = "1" } = CHOICE.exec(text)?.groups ?? {};
  const parsed = Number(weight);
  if (!isMeasure(measure) || weight.trim() === "" || !(parsed >= 0 && parsed < Infinity)) return undefined;
  if (axis === undefined) return { measure, weight: parsed };
  return measure === "kl" ? { measure, weight: parsed, axis: Number(axis) } : undefined;
}

function isMeasure(text: string | undefined): text is OutputMeasure {
  return outputMeasures.some((measure) => measure === text);
}
