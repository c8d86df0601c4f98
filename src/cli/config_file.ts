import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Command, InvalidArgumentError, type Option } from "commander";
import { z } from "zod";
import { placedSpec } from "../data/spec.js";
import { ioError } from "../files/atomic.js";
import { checkIsFile } from "../files/regular_file.js";
import { messageOf, PenniError } from "../graph/errors.js";
import { acceptedBy } from "./accepted.js";
import { closest } from "./closest.js";
import { isGiven } from "./extra.js";
import { ruleOptionNames } from "./goal_options.js";
import { nameGivenTwice } from "./json_names.js";

/** How files of each ending are read, in the order in which they are looked for. */
const readers: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  ".json": async (file) => parsedJson(file, await textOf(file)),
  ".yaml": async (file) => parsedYaml(file, await textOf(file)),
  ".yml": async (file) => parsedYaml(file, await textOf(file)),
  ".mjs": imported,
  ".js": imported,
  ".ts": importedTypeScript,
};

const NAME = "penni.config";
const LARGEST_FILE = 2 ** 20;

/**
 * Gives options of a command the values that a configuration file has for them, where the command line gives none.
 * @returns the file, if there is one
 * @throws PenniError "bad-option" naming the file and the place in it
 */
export async function applyConfig(command: Command): Promise<string | undefined> {
  const { config, resume }: { readonly config?: string; readonly resume?: string } = command.opts();
  // A run that goes on has its own settings.
  if (resume !== undefined) return undefined;
  const file = config ?? foundFile();
  if (file === undefined) return undefined;
  const content = await readConfiguration(file);
  const { configSchema } = await import("./config_schema.js");
  const program = command.parent ?? command;
  const schema = configSchema(program);
  const checked = schema.safeParse(content);
  if (!checked.success) throw issueError(file, schema, checked.error);
  const section = checked.data[command.name()];
  if (isRecord(section)) setValues(command, section, file);
  return file;
}

/**
 * What a file says, in any of the languages of configurations.
 * @throws PenniError "bad-option" or "io" naming the file
 */
export async function readConfiguration(file: string): Promise<unknown> {
  const read = readers[path.extname(file).toLowerCase()];
  if (read === undefined)
    throw bad(file, "no configuration file", { expected: `a name that ends in ${endings()}` });
  return read(file);
}

const endings = (): string => Object.keys(readers).join(", ");

/** @throws PenniError "bad-option" if there are several */
function foundFile(): string | undefined {
  const [first, second] = Object.keys(readers)
    .map((ending) => `${NAME}${ending}`)
    .filter((name) => existsSync(name));
  if (first === undefined || second === undefined) return first;
  throw bad(first, "there are several configuration files", {
    expected: "one, or --config FILE",
    found: `${first}, ${second}`,
  });
}

async function textOf(file: string): Promise<string> {
  try {
    const stats = await stat(file);
    checkIsFile(file, stats);
    const { size } = stats;
    if (size > LARGEST_FILE)
      throw bad(file, "too large for a configuration", { expected: `at most ${LARGEST_FILE} bytes` });
    return (await readFile(file, "utf8")).replace(/^\u{feff}/u, "");
  } catch (error) {
    throw error instanceof PenniError ? error : ioError(file, "the configuration cannot be read", error);
  }
}

function parsedJson(file: string, text: string): unknown {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw bad(file, "this is no JSON", { found: messageOf(error) });
  }
  const twice = nameGivenTwice(text);
  if (twice === undefined) return content;
  throw bad(file, `line ${twice.line}: a name is there for the second time`, {
    expected: "each name once",
    found: twice.name,
  });
}

async function parsedYaml(file: string, text: string): Promise<unknown> {
  const { parse } = await import("yaml");
  try {
    return parse(text);
  } catch (error) {
    throw bad(file, "this is no YAML", { found: messageOf(error) });
  }
}

async function imported(file: string): Promise<unknown> {
  if (!existsSync(file)) throw bad(file, "there is no such file");
  checkIsFile(file, await stat(file));
  try {
    const { default: content }: { readonly default?: unknown } = await import(
      pathToFileURL(path.resolve(file)).href
    );
    return content;
  } catch (error) {
    throw bad(file, "the configuration cannot be run", { found: messageOf(error) });
  }
}

/** Node.js takes the types out itself, from 22.18 on. */
function importedTypeScript(file: string): Promise<unknown> {
  const support: unknown = Reflect.get(process.features, "typescript");
  if (support !== undefined && support !== false) return imported(file);
  throw bad(file, "this Node.js does not run TypeScript", {
    expected: "Node.js 22.18 or later",
    found: process.version,
    advice: `Write ${NAME}.mjs or ${NAME}.json instead`,
  });
}

function bad(
  file: string,
  problem: string,
  details: { readonly expected?: string; readonly found?: string; readonly advice?: string } = {},
): PenniError {
  return new PenniError("bad-option", problem, { file, ...details });
}

/** What is wrong, and where: "compress.inputShape.x[2]". */
function issueError(file: string, schema: z.ZodObject, { issues }: z.ZodError): PenniError {
  const [issue] = issues;
  if (issue === undefined) return bad(file, "the configuration cannot be read");
  const place = placeOf(issue.path);
  if (issue.code !== "unrecognized_keys") {
    const what = place === "" ? "the configuration" : place;
    return bad(file, `${what} is not what it should be`, { found: issue.message });
  }
  const [key] = issue.keys;
  const known = knownKeys(schema, issue.path);
  const meant = key === undefined ? undefined : closest(key, known);
  return bad(file, `there is no setting ${placeOf([...issue.path, ...(key === undefined ? [] : [key])])}`, {
    ...(meant === undefined ? { expected: known.join(", ") } : { advice: `Did you mean ${meant}?` }),
  });
}

/** The settings that there are at a place: at the top or of a command. */
function knownKeys(schema: z.ZodObject, [name]: readonly PropertyKey[]): readonly string[] {
  const { shape } = schema;
  const section: unknown = name === undefined ? undefined : Reflect.get(shape, name);
  const inner: unknown = section instanceof z.ZodOptional ? section.unwrap() : undefined;
  return Object.keys(inner instanceof z.ZodObject ? inner.shape : shape);
}

export function placeOf(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>((place, part) => {
    if (typeof part === "number") return `${place}[${part}]`;
    return place === "" ? String(part) : `${place}.${String(part)}`;
  }, "");
}

/** Texts that options read, for a value of a configuration file. */
function textsOf(option: Option, value: unknown): readonly string[] {
  const { kind } = acceptedBy(option);
  if (kind === "numbers" && Array.isArray(value)) return [value.join(",")];
  if (!isRecord(value)) return [String(value)];
  const entries = Object.entries(value);
  return kind === "shapes"
    ? entries.map(([name, dims]) => `${name}:${Array.isArray(dims) ? dims.join("x") : String(dims)}`)
    : entries.map(([name, text]) => `${name}=${String(text)}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function setValues(command: Command, section: Readonly<Record<string, unknown>>, file: string): void {
  const rules = ruleOptionNames(command);
  const given = Object.keys(section);
  const [rule, other] = given.filter((name) => rules.includes(name));
  if (rule !== undefined && other !== undefined)
    throw bad(file, `${command.name()}.${other} contradicts ${command.name()}.${rule}`, {
      expected: `one of ${rules.join(", ")}`,
    });
  // A rule on the command line stands in place of any other.
  const isRuled = rules.some((name) => isGiven(command, name));
  for (const [name, value] of Object.entries(section)) {
    if (isGiven(command, name) || (isRuled && rules.includes(name)) || value === undefined) continue;
    const option = command.options.find((one) => one.attributeName() === name);
    const placed = placedIn(path.dirname(file), name, value);
    const parsed =
      option === undefined ? placed : parsedValue(option, placed, `${command.name()}.${name}`, file);
    command.setOptionValueWithSource(name, parsed, "config");
  }
}

/**
 * What an option makes of a value of a file.
 * @param place of the value in the file
 * @throws PenniError "bad-option" naming the place
 */
export function parsedValue(option: Option, value: unknown, place: string, file: string): unknown {
  const { parseArg } = option;
  if (parseArg === undefined || typeof value === "boolean") return value;
  try {
    return textsOf(option, value).reduce<unknown>((previous, text) => parseArg(text, previous), undefined);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw bad(file, `${place}: ${error.message}`);
  }
}

/** Settings that are paths: those of a file are meant from where it lies. */
const paths: ReadonlySet<string> = new Set(["model", "out", "classes"]);

/** A setting of a file in this folder, its path meant from there. */
export function placedIn(folder: string, name: string, value: unknown): unknown {
  if (folder === "." || typeof value !== "string") return value;
  const place = (given: string): string => (path.isAbsolute(given) ? given : path.join(folder, given));
  if (paths.has(name)) return place(value);
  if (name === "teacher") return value.endsWith(".onnx") ? place(value) : value;
  const placed = name === "data" ? placedSpec(value) : undefined;
  return placed === undefined ? value : `${placed.kind}${place(placed.place)}`;
}
