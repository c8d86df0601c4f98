import { type Command, InvalidArgumentError, Option } from "commander";
import type { CriterionOption } from "../method/criteria/criterion.js";
import type { SizedFile } from "../method/goal/names.js";
import type { Goal } from "../method/goal/rules.js";
import type { PruneRule } from "../method/goal/schema.js";

type GoalOf<Rule extends Goal["rule"]> = Extract<Goal, { readonly rule: Rule }>;

/** Those that say what is wanted of the result, and leave it to a search what goes for it. */
const goalOptions = (): readonly Option[] => [
  new Option(
    "--target-size <size>",
    "prune until model.onnx, or with wasm:SIZE its compiled module, is at most so large: 200kB, 1.5MiB",
  ).argParser(targetSize),
  new Option(
    "--target-latency <time>",
    "prune until one image takes at most so long, compiled to WebAssembly, one thread: 2ms, 800us",
  ).argParser(targetLatency),
  new Option(
    "--max-loss <loss>",
    "search for the smallest network that loses at most so much on held-out images: points of top-1, as 0.5, or without labels an output error, as 5%",
  ).argParser(maxLoss),
];

/** The options of which each is a rule of pruning. */
export type RuleOptions = readonly Option[];

/** Those of every command. */
const allRules = new WeakSet<Option>();

/** Those that a command has. */
export function ruleOptionsOf({ options }: Pick<Command, "options">): RuleOptions {
  return options.filter((option) => allRules.has(option));
}

/** Names of the values of a command's options of which only one can be given. */
export function ruleOptionNames(command: Pick<Command, "options">): readonly string[] {
  return ruleOptionsOf(command).map((option) => option.attributeName());
}

/**
 * Adds the options that say what goes, one for each criterion and goal; two of them are refused in one line.
 * @param criteria whose options come first
 */
export function addRuleOptions(
  command: Command,
  criteria: readonly { readonly option: CriterionOption<PruneRule> }[],
): RuleOptions {
  const options = [...criteria.map(({ option }) => criterionOption(option)), ...goalOptions()];
  const names = options.map((option) => option.attributeName());
  for (const option of options) {
    allRules.add(option);
    const own = option.attributeName();
    command.addOption(option.conflicts(names.filter((other) => other !== own)));
  }
  return options;
}

function criterionOption({ flags, description, parse, expected }: CriterionOption<PruneRule>): Option {
  return new Option(flags, description).argParser((text) => {
    const rule = parse(text);
    if (rule !== undefined) return rule;
    throw new InvalidArgumentError(`expected ${expected}, found "${text}"`);
  });
}

/** The rule that is asked for, and the option that asks for it. */
export interface AskedRule {
  readonly rule: PruneRule;
  /** "--target-macs" */
  readonly option: string;
}

/** Undefined where none of the options is given. */
export function askedRule(command: Command, options: RuleOptions): AskedRule | undefined {
  for (const option of options) {
    const rule: PruneRule | undefined = command.getOptionValue(option.attributeName());
    if (rule !== undefined) return { rule, option: option.long ?? option.flags };
  }
  return undefined;
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
  const bytes = Math.floor(measured(number, sizes[unit.toLowerCase()]));
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
  const milliseconds = measured(number, times[unit]);
  if (Number.isFinite(milliseconds) && milliseconds > 0) return { rule: "latency", milliseconds };
  throw new InvalidArgumentError(
    `expected a time above 0 with its unit (us, ms, s) such as 2ms or 800us, found "${text}"`,
  );
}

/** A number in its unit; not a number where there is no such unit. */
function measured(number: string, unit: number | undefined): number {
  return unit === undefined ? Number.NaN : Number(number) * unit;
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
