import { z } from "zod";

/** What a schema says of each value in it: by its path, type and range in words. */
export type Fields = ReadonlyMap<string, Field>;

export interface Field {
  /** Whether it may be absent. */
  readonly isOptional: boolean;
  /** `integer, at least 1`; of a choice all of them, with "or" between. */
  readonly type: string;
}

/** As much of JSON Schema as our schemas need. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  /** Of a list of a fixed length. */
  readonly prefixItems?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** The values of a format that a schema describes, as they are written in documents: `a.b`, `list[]`, `record.NAME`. */
export function fieldsOf(schema: z.ZodType): Fields {
  return byPath(
    entriesOf(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Schema, {
      path: "",
      isOptional: false,
    }),
  );
}

interface Place {
  readonly path: string;
  readonly isOptional: boolean;
}

interface Entry extends Place, Field {}

/** What several say of one path is said together. */
function byPath(entries: readonly Entry[]): Fields {
  const fields = new Map<string, Field>();
  for (const { path, isOptional, type } of entries) {
    const known = fields.get(path);
    const types = new Set([...(known === undefined ? [] : known.type.split(" or ")), ...type.split(" or ")]);
    fields.set(path, {
      isOptional: isOptional || known?.isOptional === true,
      type: [...types].join(" or "),
    });
  }
  return fields;
}

function entriesOf(schema: Schema, place: Place): readonly Entry[] {
  const { path, isOptional } = place;
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return choiceEntries(choices, place);
  if (schema.prefixItems !== undefined)
    return choiceEntries(schema.prefixItems, { path: `${path}[]`, isOptional });
  if (schema.type === "array") return entriesOf(schema.items ?? {}, { path: `${path}[]`, isOptional });
  const prefix = path === "" ? "" : `${path}.`;
  if (schema.properties !== undefined) {
    return Object.entries(schema.properties).flatMap(([name, property]) => {
      const isRequired = schema.required?.includes(name) === true;
      return entriesOf(property, { path: `${prefix}${name}`, isOptional: isOptional || !isRequired });
    });
  }
  if (typeof schema.additionalProperties === "object")
    return entriesOf(schema.additionalProperties, { path: `${prefix}NAME`, isOptional });
  return [{ path, isOptional, type: typeOf(schema) }];
}

/** What only some choices have is optional. */
function choiceEntries(choices: readonly Schema[], place: Place): readonly Entry[] {
  const parts = choices.map((choice) => entriesOf(choice, place));
  return parts.flat().map((entry) => {
    const isEverywhere = parts.every((part) => part.some(({ path }) => path === entry.path));
    return { ...entry, isOptional: entry.isOptional || !isEverywhere };
  });
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const types = [schema.type ?? "anything"].flat().join(" or ");
  return [types, ...bounds(schema)].join(", ");
}

/** Without those that JavaScript has for whole numbers anyway. */
function bounds(schema: Schema): readonly string[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const given = (value: number | undefined): value is number =>
    value !== undefined && Math.abs(value) !== Number.MAX_SAFE_INTEGER;
  return [
    ...(given(minimum) ? [`at least ${minimum}`] : []),
    ...(given(exclusiveMinimum) ? [`above ${exclusiveMinimum}`] : []),
    ...(given(maximum) ? [`at most ${maximum}`] : []),
    ...(given(exclusiveMaximum) ? [`below ${exclusiveMaximum}`] : []),
  ];
}
