import { parseJson } from "../graph/json.js";
import { indexOfNames } from "./classes.js";
import { readWhole } from "./files.js";
import { badData } from "./messages.js";

/** Much more than the names of the largest sets of classes take. */
const MOST_BYTES = 2 ** 24;
/** Labels have 16 bits. */
const MOST_CLASSES = 2 ** 16;

const FORMATS = "one name per line, or a JSON array of strings, in the order of the model's outputs";

/**
 * Class names of a file, in the order of a model's outputs: one per line (blanks around a name do not count), or a
 * JSON array of strings; UTF-8.
 * @throws PenniError "bad-data" naming the file and what is wrong with it; "bad-option" if a name is there twice
 */
export async function readClassFile(file: string): Promise<readonly string[]> {
  const text = decode(file, await readWhole(file, MOST_BYTES));
  const isJson = /^\s*\[/.test(text) || /\.json$/i.test(file);
  const names = isJson ? parseArray(file, text) : parseLines(file, text);
  if (names.length === 0 || names.length > MOST_CLASSES) {
    throw badData(file, "not a possible number of class names", {
      expected: `1 to ${MOST_CLASSES}`,
      found: `${names.length}`,
    });
  }
  indexOfNames(names, file);
  return names;
}

function decode(file: string, bytes: Uint8Array): string {
  try {
    // Takes a byte order mark away.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw badData(
      file,
      "the class names are not UTF-8",
      { expected: FORMATS, advice: "Save the file as UTF-8" },
      cause,
    );
  }
}

function parseArray(file: string, text: string): readonly string[] {
  const value = parseJson(text);
  const isNames =
    Array.isArray(value) && value.every((name) => typeof name === "string" && name.trim() !== "");
  if (isNames) return value;
  throw badData(file, "not class names", {
    expected: FORMATS,
    found: value === undefined ? "text that is no JSON" : "other JSON",
  });
}

/** An empty line between names would shift all that follow, so it is no separator. */
function parseLines(file: string, text: string): readonly string[] {
  const lines = text
    .trimEnd()
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim());
  if (lines.join("") === "") return [];
  const empty = lines.indexOf("");
  if (empty < 0) return lines;
  throw badData(file, `line ${empty + 1} of the class names is empty`, { expected: FORMATS });
}
