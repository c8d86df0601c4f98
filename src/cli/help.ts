import { type Command, Help } from "commander";
import { present } from "../graph/at.js";

/** Headings that several commands have in their help. */
export const headings = {
  data: "The images:",
  pictures: "How pictures become tensors:",
  model: "The model's file:",
  result: "What to write, and where to:",
  work: "How it runs:",
  output: "What is shown and kept:",
  help: "Messages and help:",
} as const;

/** A call as somebody would make it, and what for. */
export interface Example {
  readonly what: string;
  /** Words of the command line, without "penni": an option and its value are one. */
  readonly words: readonly string[];
}

/** Prints examples behind a command's options. */
export function addExamples(command: Command, examples: readonly Example[]): Command {
  return command.addHelpText("after", ({ command: shown }) => {
    const width = present(shown.configureOutput().getOutHelpWidth)();
    return describeExamples(examples, width);
  });
}

/** Columns; in narrower terminals a description stands below what it describes, not beside it. */
const NARROW = 64;

/** One line of a help text: an option, a command or an argument, and what it is. */
export function formatItem(term: string, termWidth: number, description: string, helper: Help): string {
  const { helpWidth } = helper;
  if (helpWidth === undefined || helpWidth >= NARROW || description === "")
    return Help.prototype.formatItem.call(helper, term, termWidth, description, helper);
  const margin = INDENT.repeat(3);
  const lines = helper.boxWrap(description, helpWidth - margin.length).split("\n");
  return [`${INDENT}${term}`, ...lines.map((line) => `${margin}${line}`)].join("\n");
}

const INDENT = "  ";
/** Tells a shell that the line goes on. */
const CONTINUED = " \\";

function describeExamples(examples: readonly Example[], width: number): string {
  const lines = examples.flatMap(({ what, words }) => [
    ...brokenLines(what.split(" "), width - INDENT.length, "", "").map((line) => `${INDENT}${line}`),
    ...shellLines(words, width - 2 * INDENT.length).map((line) => `${INDENT}${INDENT}${line}`),
  ]);
  return `\nExamples:\n${lines.join("\n")}`;
}

/** A call in lines of at most `width` characters, which a shell takes for one. */
function shellLines(words: readonly string[], width: number): readonly string[] {
  return brokenLines(["penni", ...words], width, INDENT, CONTINUED);
}

/** Words in lines of at most `width` characters: an indent before all but the first, an end behind all but the last. */
function brokenLines(
  words: readonly string[],
  width: number,
  indent: string,
  end: string,
): readonly string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of words) {
    if (current === "") current = word;
    else if (current.length + 1 + word.length + end.length <= width) current = `${current} ${word}`;
    else {
      lines.push(`${current}${end}`);
      current = `${indent}${word}`;
    }
  }
  return [...lines, current];
}
