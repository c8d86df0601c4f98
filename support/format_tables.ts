import { readFileSync } from "node:fs";
import path from "node:path";
import { anchorOf } from "./markdown.js";
import type { Field, Fields } from "./schema_fields.js";
import { projectRoot } from "./shared.js";

/** A row of a table: what stands in its cells. */
type Row = readonly string[];

const HEADING = /^#+ (.*)$/;
const FIELD = /^`([^`?]+)(\??)`$/;
/** A cell that begins with a link to another table of the document stands for that table's fields. */
const OTHER_TABLE = /^\[[^\]]*\]\(#([^)]+)\)/;

/** The tables of docs/formats.md, by the anchor of the heading above them. */
export class FormatTables {
  private constructor(private readonly tables: ReadonlyMap<string, readonly Row[]>) {}

  static read(): FormatTables {
    return FormatTables.parse(readFileSync(path.join(projectRoot, "docs/formats.md"), "utf8"));
  }

  static parse(text: string): FormatTables {
    const tables = new Map<string, Row[]>();
    let rows: Row[] = [];
    for (const line of text.split("\n")) {
      const [, heading] = HEADING.exec(line) ?? [];
      if (heading !== undefined) {
        rows = [];
        tables.set(anchorOf(heading), rows);
      } else if (line.startsWith("| `")) {
        rows.push(
          line
            .slice(1, -1)
            .split(" | ")
            .map((cell) => cell.trim()),
        );
      }
    }
    return new FormatTables(tables);
  }

  /** All that stands between backticks in the first column. */
  names(anchor: string): readonly string[] {
    return this.rows(anchor).flatMap(([first = ""]) =>
      [...first.matchAll(/`([^`?]+)\??`/g)].map(([, name = ""]) => name),
    );
  }

  /** The fields below a heading, those of other tables put in; types are what the second column says. */
  fields(anchor: string): Fields {
    const fields = new Map<string, Field>();
    for (const [first = "", second = ""] of this.rows(anchor)) {
      const [, name, mark] = FIELD.exec(first) ?? [];
      if (name === undefined) throw new Error(`no field: ${first}`);
      const isOptional = mark === "?";
      const [, other] = OTHER_TABLE.exec(second) ?? [];
      if (other === undefined) {
        fields.set(name, { isOptional, type: second });
        continue;
      }
      for (const [inner, field] of this.fields(other))
        fields.set(`${name}.${inner}`, { ...field, isOptional: isOptional || field.isOptional });
    }
    return fields;
  }

  private rows(anchor: string): readonly Row[] {
    const rows = this.tables.get(anchor);
    if (rows === undefined || rows.length === 0)
      throw new Error(`docs/formats.md has no table below #${anchor}`);
    return rows;
  }
}

/** Every value in some JSON by its path, as documents write it: `a.b`, `list[]`. */
export function pathsIn(value: unknown, place = ""): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => pathsIn(item, `${place}[]`));
  if (typeof value !== "object" || value === null) return [place];
  const prefix = place === "" ? "" : `${place}.`;
  return Object.entries(value).flatMap(([key, inner]) => pathsIn(inner, `${prefix}${key}`));
}

/** What is in samples and not in the document, and what the document says is always there and no sample has. */
export function differences(fields: Fields, samples: readonly unknown[]): readonly string[] {
  const found = new Set(samples.flatMap((sample) => pathsIn(sample)));
  const patterns = [...fields].map(([name, field]) => ({ name, field, pattern: patternOf(name) }));
  const unknown = [...found].filter((place) => !patterns.some(({ pattern }) => pattern.test(place)));
  const missing = patterns.filter(
    ({ field, pattern }) => !field.isOptional && ![...found].some((place) => pattern.test(place)),
  );
  return [
    ...unknown.map((place) => `in a file, not in the document: ${place}`),
    ...missing.map(({ name }) => `in the document, in no file: ${name}`),
  ];
}

function patternOf(name: string): RegExp {
  const text = name.replaceAll(/[.[\]]/g, "\\$&").replaceAll("NAME", "[^.\\[]+");
  return new RegExp(`^${text}$`);
}
