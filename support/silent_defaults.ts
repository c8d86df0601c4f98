import { readFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "./shared.js";

/** Comments, and texts so that what looks like a comment inside one is none. */
const TEXT_OR_COMMENT = /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/** What a default is silent with: an empty text, a number (of a graph or a loop, too), an empty list. */
const LITERAL = String.raw`(?:""|-?(?:\d[\w.]*(?:(?<=e)[+-]\d+)?|Infinity|Number\.[A-Z]\w*)|\[\]|zero\b|one\b|constant\([^)]*\))`;
const FALLBACK = new RegExp(String.raw`\?\?=?\s*${LITERAL}`, "g");
const IN_A_LIST = new RegExp(String.raw`(?<![\w.])[A-Za-z_]\w* = ${LITERAL}(?=\s*[,\]])`, "g");

const CLOSING = ")]}";
const OPENING = "([{";

/** The bracket that a place lies in; "" outside of all. */
function bracketAround(code: string, place: number): string {
  let closed = 0;
  for (let index = place - 1; index >= 0; index--) {
    const sign = code.charAt(index);
    if (CLOSING.includes(sign)) closed++;
    else if (OPENING.includes(sign) && closed-- === 0) return sign;
  }
  return "";
}

/**
 * Places of TypeScript code that go on with a number, an empty text or an empty list where something is missing:
 * `list[i] ?? 0`, and `[x = ""]` taken out of a list. Not defaults of options, `{ alpha = 1 }`.
 * @returns what stands there, in order
 */
export function silentDefaults(source: string): readonly string[] {
  const code = source.replace(TEXT_OR_COMMENT, (found) => (found.startsWith('"') ? found : ""));
  const inLists = [...code.matchAll(IN_A_LIST)].filter(({ index }) => bracketAround(code, index) === "[");
  return [...code.matchAll(FALLBACK), ...inLists]
    .sort((left, right) => left.index - right.index)
    .map(([found]) => found);
}

/** `silentDefaults` of a file of the project. @param file from the project's root, with "/" */
export function silentDefaultsIn(file: string): readonly string[] {
  return silentDefaults(readFileSync(path.join(projectRoot, file), "utf8"));
}
