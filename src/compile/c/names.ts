import { orDefault } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import type { CIdentifier } from "../../text/destinations.js";

const KEYWORDS =
  "auto break case char const continue default do double else enum extern float for goto if inline int long " +
  "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while " +
  "asm typeof class new delete this template operator namespace private public protected virtual bool true false " +
  "alignas alignof constexpr nullptr static_assert thread_local typeof_unqual friend try catch throw using";

const keywords: ReadonlySet<string> = new Set(KEYWORDS.split(" "));

/** Names of files that other files would take for something else, in lower case. */
const FILE_NAMES =
  // Devices of Windows, whatever ending they have.
  "con prn aux nul com0 com1 com2 com3 com4 com5 com6 com7 com8 com9 " +
  "lpt0 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9 " +
  // Headers of C, which NAME.h would hide.
  "assert complex ctype errno fenv float inttypes iso646 limits locale math memory setjmp signal stdalign stdarg " +
  "stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads time uchar unistd wchar " +
  "wctype immintrin arm_neon " +
  // Make would build its own file from NAME.c.
  "makefile gnumakefile";

const fileNames: ReadonlySet<string> = new Set(FILE_NAMES.split(" "));

/** Macros of the code, which `NAME_SCALAR` and `NAME_H` must not be. */
const takenPrefixes: ReadonlySet<string> = new Set(["USE"]);

const LONGEST_NAME = 60;
/** What is written is called NAME_weights.bin at the longest, and file systems take 255 bytes. */
const LONGEST_GIVEN_NAME = 200;

function isReserved(name: string): boolean {
  return keywords.has(name) || fileNames.has(name.toLowerCase()) || takenPrefixes.has(name.toUpperCase());
}

/** A C identifier from any text, such as a file's name: "resnet-18 (v2)" becomes "resnet_18_v2". */
export function cName(text: string): CIdentifier {
  const plain = text
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^_+/, "")
    .slice(0, LONGEST_NAME)
    .replace(/_+$/, "");
  if (plain === "") return "network" as CIdentifier;
  return (/^[0-9]/.test(plain) || isReserved(plain) ? `n_${plain}` : plain) as CIdentifier;
}

/**
 * The name, which can begin the identifiers of a C file and be the name of files on any system.
 * @throws PenniError "bad-option" if it cannot
 */
export function checkName(name: string): CIdentifier {
  const fits = /^[A-Za-z][A-Za-z0-9_]*$/.test(name) && name.length <= LONGEST_GIVEN_NAME;
  if (fits && !isReserved(name)) return name as CIdentifier;
  throw new PenniError("bad-option", "this name cannot be used for files of C", {
    expected: `a letter, then letters, digits and underscores, ${LONGEST_GIVEN_NAME} in all; no word of C or of the system`,
    found: `"${name.slice(0, LONGEST_GIVEN_NAME)}"`,
    advice: `Use a name such as "${cName(name)}"`,
  });
}

/** Identifiers of one scope, each given out once. */
export class Names {
  private readonly taken: Set<string>;
  /** The next number for a name: none is given back, so the search goes on where it ended. */
  private readonly next = new Map<string, number>();

  /**
   * @param reserved what must not be used in the scope
   * @param keyOf equal for names that must not stand beside each other
   */
  constructor(
    reserved: Iterable<string> = [],
    private readonly keyOf: (name: string) => string = (name) => name,
  ) {
    this.taken = new Set([...keywords, ...reserved].map(keyOf));
  }

  /** An identifier that resembles `text`. */
  take(text: string): CIdentifier {
    const base = cName(text);
    let name = base;
    let count = orDefault(this.next.get(this.keyOf(base)), 2);
    for (; this.taken.has(this.keyOf(name)); count++) name = `${base}_${count}` as CIdentifier;
    this.next.set(this.keyOf(base), count);
    this.taken.add(this.keyOf(name));
    return name;
  }
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
