import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { closest } from "./closest.js";
import { placeOf } from "./config_file.js";

type Issue = z.core.$ZodIssue;

/**
 * What is wrong with a file's content, and where: "axes.basis[2]". A name or choice that is not known is answered with
 * the one that was meant.
 * @param whole what the file is, as "the sweep"
 */
export function schemaProblem(
  file: string,
  whole: string,
  schema: z.ZodType,
  content: unknown,
  { issues }: z.ZodError,
): PenniError {
  const bad = (
    problem: string,
    details: { readonly expected?: string; readonly advice?: string; readonly found?: string },
  ) => new PenniError("bad-option", problem, { file, ...details });
  // A part that is missing may be the one that is misspelt.
  const first = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  if (first === undefined) return bad(`${whole} cannot be read`, {});
  const issue = innermost(first, content);
  const place = placeOf(issue.path);
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys;
    const name = placeOf([...issue.path, ...(key === undefined ? [] : [key])]);
    return bad(`there is no ${name}`, suggestion(key, keysAt(schema, issue.path, content)));
  }
  const what = place === "" ? whole : place;
  if (issue.code === "invalid_value") {
    const found = valueAt(content, issue.path);
    const choices = issue.values.map(String);
    return bad(`${what} is not what it should be`, {
      found: JSON.stringify(found),
      ...suggestion(typeof found === "string" ? found : undefined, choices),
    });
  }
  if (issue.code === "invalid_union" && issue.errors.length === 0) {
    const found = valueAt(content, issue.path);
    return bad(`${what} is not what it should be`, {
      found: JSON.stringify(found),
      ...suggestion(
        typeof found === "string" ? found : undefined,
        discriminators(schema, issue.path, content),
      ),
    });
  }
  return bad(`${what} is not what it should be`, { found: issue.message });
}

function suggestion(
  given: string | undefined,
  known: readonly string[],
): { readonly expected?: string; readonly advice?: string } {
  const meant = given === undefined ? undefined : closest(given, known);
  const shown = known.length <= MOST_SHOWN ? known : [...known.slice(0, MOST_SHOWN), "..."];
  return {
    ...(meant === undefined || known.length <= FEW ? { expected: shown.join(", ") } : {}),
    ...(meant === undefined ? {} : { advice: `Did you mean ${meant}?` }),
  };
}

const MOST_SHOWN = 60;
/** So few names are all said, whatever is near. */
const FEW = 8;

/** Of alternatives the one that the value was meant for, by whether it is a list or has names. */
function innermost(issue: Issue, content: unknown): Issue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const value = valueAt(content, issue.path);
  const isList = Array.isArray(value);
  const hasNames = typeof value === "object" && value !== null && !isList;
  const fits = issue.errors.find((branch) => {
    const [first] = branch;
    const wantsList = first?.code === "invalid_type" && first.path.length === 0 && first.expected === "array";
    return first !== undefined && (hasNames ? !wantsList : wantsList !== isList);
  });
  const found = fits?.find(({ code }) => code === "unrecognized_keys") ?? fits?.[0];
  if (found === undefined) return issue;
  const inner = innermost(found, value);
  return { ...inner, path: [...issue.path, ...inner.path] };
}

function valueAt(content: unknown, place: readonly PropertyKey[]): unknown {
  return place.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
    content,
  );
}

/** The schemas that a value at a place may have; of alternatives those that the content names, if it does. */
function schemasAt(schema: unknown, place: readonly PropertyKey[], content: unknown): readonly unknown[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return schemasAt(schema.unwrap(), place, content);
  if (schema instanceof z.ZodUnion) {
    const meant = schema.options.filter((option) => isMeant(option, content));
    const options = meant.length === 0 ? schema.options : meant;
    return options.flatMap((option) => schemasAt(option, place, content));
  }
  const [key, ...rest] = place;
  if (key === undefined) return [schema];
  const inner = valueAt(content, [key]);
  if (schema instanceof z.ZodObject) return schemasAt(Reflect.get(schema.shape, key), rest, inner);
  if (schema instanceof z.ZodArray) return schemasAt(schema.element, rest, inner);
  return [];
}

/** Whether an alternative has nothing against the names that a content gives, as of its kind. */
function isMeant(option: unknown, content: unknown): boolean {
  if (!(option instanceof z.ZodObject) || typeof content !== "object" || content === null) return false;
  return Object.entries(option.shape).every(
    ([key, schema]) =>
      !(schema instanceof z.ZodLiteral || schema instanceof z.ZodEnum) ||
      !(key in content) ||
      schema.safeParse(Reflect.get(content, key)).success,
  );
}

function keysAt(schema: z.ZodType, place: readonly PropertyKey[], content: unknown): readonly string[] {
  const objects = schemasAt(schema, place, content).filter((found) => found instanceof z.ZodObject);
  return [...new Set(objects.flatMap(({ shape }) => Object.keys(shape)))];
}

/** The names of the alternatives that a name at a place chooses between. */
function discriminators(
  schema: z.ZodType,
  place: readonly PropertyKey[],
  content: unknown,
): readonly string[] {
  return schemasAt(schema, place, content).flatMap((found) => {
    if (found instanceof z.ZodLiteral) return [...found.values].map(String);
    return found instanceof z.ZodEnum ? found.options.map(String) : [];
  });
}
