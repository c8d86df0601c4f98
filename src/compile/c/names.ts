import { PenniError } from "../../graph/errors.js";

const KEYWORDS =
  "auto break case char const continue default do double else enum extern float for goto if inline int long " +
  "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while " +
  "asm typeof class new delete this template operator namespace private public protected virtual bool true false";

const keywords: ReadonlySet<string> = new Set(KEYWORDS.split(" "));

const LONGEST_NAME = 60;

/** A C identifier from any text, such as a file's name: "resnet-18 (v2)" becomes "resnet_18_v2". */
export function cName(text: string): string {
  const plain = text
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, LONGEST_NAME);
  if (plain === "") return "network";
  return /^[0-9]/.test(plain) || keywords.has(plain) ? `n_${plain}` : plain;
}

/** @throws PenniError "bad-option" if a name cannot begin the identifiers of a C file */
export function checkName(name: string): void {
  if (/^[A-Za-z][A-Za-z0-9_]*$/.test(name) && !keywords.has(name)) return;
  throw new PenniError("bad-option", "this name cannot be used in C", {
    expected: "a letter, then letters, digits and underscores",
    found: `"${name}"`,
    advice: `Use a name such as "${cName(name)}"`,
  });
}

/** Identifiers of one scope, each given out once. */
export class Names {
  private readonly taken: Set<string>;
  /** The next number for a name: none is given back, so the search goes on where it ended. */
  private readonly next = new Map<string, number>();

  /** @param reserved what must not be used in the scope */
  constructor(reserved: Iterable<string> = []) {
    this.taken = new Set([...keywords, ...reserved]);
  }

  /** An identifier that resembles `text`. */
  take(text: string): string {
    const base = cName(text);
    let name = base;
    let count = this.next.get(base) ?? 2;
    for (; this.taken.has(name); count++) name = `${base}_${count}`;
    this.next.set(base, count);
    this.taken.add(name);
    return name;
  }
}

/** Text that may stand in a comment, whatever it was. */
export function commentText(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, "?")
    .replace(/[*]+\/|\/[*]+/g, "|")
    .replace(/\\/g, "/")
    .replace(/\?{2,}/g, "?");
}

const LINE = 110;

/** Items with commas between them, in lines of up to 110 characters. */
export function wrapped(items: readonly string[], indent: string): string {
  const lines: string[] = [];
  let line: string[] = [];
  let length = indent.length;
  for (const item of items) {
    if (line.length > 0 && length + item.length + 2 > LINE) {
      lines.push(line.join(", "));
      line = [];
      length = indent.length;
    }
    line.push(item);
    length += item.length + 2;
  }
  if (line.length > 0) lines.push(line.join(", "));
  return lines.join(`,\n${indent}`);
}
