import type { Option } from "commander";

/** What an option takes in a configuration file, where a value need not be a text. */
export type Accepted =
  /** A number in this range. */
  | { readonly kind: "number"; readonly minimum: number; readonly maximum: number; readonly whole: boolean }
  /** Numbers, with commas between on the command line. */
  | { readonly kind: "numbers" }
  /** Dimensions by name: NAME:1x3x32x32, repeatable. */
  | { readonly kind: "shapes" }
  /** Texts by name: NAME=TEXT, repeatable. */
  | { readonly kind: "entries" }
  /** One of these. */
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "flag" }
  | { readonly kind: "text" }
  /** A number or a text, which the option's own parser reads. */
  | { readonly kind: "value" };

/** A parser of an option that says what it takes. */
export type OptionParser<Value> = ((text: string, previous?: Value) => Value) & {
  readonly accepts: Accepted;
};

/** Marks a parser with what it takes; others take a number or a text. */
export function accepting<Value>(
  accepts: Accepted,
  parse: (text: string, previous?: Value) => Value,
): OptionParser<Value> {
  return Object.assign(parse, { accepts });
}

/** What an option takes in a configuration file. */
export function acceptedBy(option: Option): Accepted {
  if (option.argChoices !== undefined) return { kind: "choice", choices: option.argChoices };
  if (option.isBoolean() || option.negate) return { kind: "flag" };
  const { parseArg } = option;
  if (parseArg === undefined) return { kind: "text" };
  return isMarked(parseArg) ? parseArg.accepts : { kind: "value" };
}

function isMarked(parse: object): parse is { readonly accepts: Accepted } {
  return "accepts" in parse;
}
