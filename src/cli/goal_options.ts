import { type Command, InvalidArgumentError, Option } from "commander";
import type { SizedFile } from "../method/goal/names.js";
import type { Goal } from "../method/goal/rules.js";
import { numberBetween, positiveShare } from "./options.js";

type GoalOf<Rule extends Goal["rule"]> = Extract<Goal, { readonly rule: Rule }>;

/** The options that say how much goes; each is given alone. */
export interface GoalOptions {
  readonly targetMacs?: number;
  readonly deviations?: number;
  readonly targetSize?: GoalOf<"size">;
  readonly targetLatency?: GoalOf<"latency">;
  readonly maxLoss?: GoalOf<"loss">;
}

const names = ["targetMacs", "targetSize", "targetLatency", "maxLoss", "deviations"] as const;

/** Adds them; two of them are refused in one line. */
export function addGoalOptions(command: Command): Command {
  const options: Readonly<Record<(typeof names)[number], Option>> = {
    targetMacs: new Option(
      "--target-macs <f>",
      "prune to this fraction of the original's MACs (paper count)",
    ).argParser(positiveShare),
    targetSize: new Option(
      "--target-size <size>",
      "prune until model.onnx, or with wasm:SIZE its compiled module, is at most so large: 200kB, 1.5MiB",
    ).argParser(targetSize),
    targetLatency: new Option(
      "--target-latency <time>",
      "prune until one image takes at most so long, compiled to WebAssembly, one thread: 2ms, 800us",
    ).argParser(targetLatency),
    maxLoss: new Option(
      "--max-loss <loss>",
      "search for the smallest network that loses at most so much on held-out images: points of top-1, as 0.5, or without labels an output error, as 5%",
    ).argParser(maxLoss),
    deviations: new Option(
      "--deviations <x>",
      "prune below x standard deviations (the paper's rule: 1)",
    ).argParser(numberBetween(0, 100)),
  };
  for (const name of names)
    command.addOption(options[name].conflicts(names.filter((other) => other !== name)));
  return command;
}

/** Bytes in each unit, by its name in small letters. */
const sizes: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  byte: 1,
  bytes: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** Milliseconds in each unit. */
const times: Readonly<Record<string, number>> = { us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1e3 };

const SIZE = /^(?:(?<file>onnx|wasm):)?\s*(?<number>\d+(?:\.\d+)?|\.\d+)\s*(?<unit>[a-z]*)$/i;
const TIME = /^(?<number>\d+(?:\.\d+)?|\.\d+)\s*(?<unit>[a-zµμ]+)$/;
const LOSS = /^(?<number>\d+(?:\.\d+)?|\.\d+)\s*(?<unit>%?)$/;

/** Parser of a size: "200kB", "1.5 MiB", "wasm:150kB"; a number alone is of bytes. */
export function targetSize(text: string): GoalOf<"size"> {
  const { file = "onnx", number = "", unit = "" } = SIZE.exec(text.trim())?.groups ?? {};
  const bytes = Math.floor(Number(number) * (sizes[unit.toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return { rule: "size", bytes, file: sizedFile(file) };
  throw new InvalidArgumentError(
    `expected a size above 0 such as 200kB, 1.5MB, 300KiB, 250000 or wasm:150kB, found "${text}"`,
  );
}

function sizedFile(name: string): SizedFile {
  return name.toLowerCase() === "wasm" ? "wasm" : "onnx";
}

/** Parser of a time with its unit: "2ms", "800 us". */
export function targetLatency(text: string): GoalOf<"latency"> {
  const { number = "", unit = "" } = TIME.exec(text.trim())?.groups ?? {};
  const milliseconds = Number(number) * (times[unit] ?? Number.NaN);
  if (Number.isFinite(milliseconds) && milliseconds > 0) return { rule: "latency", milliseconds };
  throw new InvalidArgumentError(
    `expected a time above 0 with its unit (us, ms, s) such as 2ms or 800us, found "${text}"`,
  );
}

/** Parser of a loss: "0.5", points of top-1 from 0 to 100, or "5%", an output error above 0. */
export function maxLoss(text: string): GoalOf<"loss"> {
  const { number = "", unit } = LOSS.exec(text.trim())?.groups ?? {};
  const value = Number(number);
  if (unit === "" && value <= 100) return { rule: "loss", measure: "top1", most: value };
  if (unit === "%" && value > 0 && value <= 1e4) return { rule: "loss", measure: "error", most: value / 100 };
  throw new InvalidArgumentError(
    `expected points of top-1 from 0 to 100 such as 0.5, or an output error such as 5%, found "${text}"`,
  );
}
