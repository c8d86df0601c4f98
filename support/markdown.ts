import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "./shared.js";

/** A fenced block of a document. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** Of its first line of text, from 1. */
  readonly line: number;
  /** What a comment right before the block says of it, as `<!-- given: declare const x: number; -->`. */
  readonly note: string | undefined;
}

export interface Link {
  readonly target: string;
  readonly line: number;
}

export interface Document {
  /** Relative to the project's root. */
  readonly file: string;
  readonly blocks: readonly Block[];
  readonly links: readonly Link[];
  /** Text between backticks, outside of blocks. */
  readonly spans: readonly { readonly text: string; readonly line: number }[];
  /** What links lead to, as GitHub makes it of headings. */
  readonly anchors: ReadonlySet<string>;
}

/** Folders with documents of their own. */
const FOLDERS = ["", "docs", "examples", "results", "web", ".github", ".github/ISSUE_TEMPLATE"];

/** Every document of the repository, those of the examples included. */
export function documents(): readonly Document[] {
  const examples = readdirSync(path.join(projectRoot, "examples"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `examples/${name}`);
  return [...FOLDERS, ...examples.toSorted()].flatMap((folder) => {
    const place = path.join(projectRoot, folder);
    const names = existsSync(place) ? readdirSync(place).filter((name) => name.endsWith(".md")) : [];
    return names.toSorted().map((name) => readDocument(path.join(folder, name)));
  });
}

export function readDocument(file: string): Document {
  return parse(file, readFileSync(path.join(projectRoot, file), "utf8"));
}

interface OpenBlock extends Omit<Block, "text"> {
  readonly lines: string[];
  readonly indent: number;
}

/** Reads as much of Markdown as our documents use. */
export function parse(file: string, markdown: string): Document {
  const blocks: Block[] = [];
  const prose: string[] = [];
  const lines = markdown.split("\n");
  let open: OpenBlock | undefined;
  lines.forEach((line, index) => {
    const fence = /^( *)```(\S*)/.exec(line);
    if (open === undefined) {
      prose.push(fence === null ? line : "");
      if (fence === null) return;
      const [, indent = "", language = ""] = fence;
      open = { language, line: index + 2, note: noteBefore(lines, index), lines: [], indent: indent.length };
      return;
    }
    prose.push("");
    if (fence === null) {
      open.lines.push(line.slice(open.indent));
      return;
    }
    const { language, line: first, note, lines: text } = open;
    blocks.push({ language, line: first, note, text: text.join("\n") });
    open = undefined;
  });
  return { file, blocks, ...spansAndLinks(prose), anchors: anchorsOf(prose) };
}

/** The comment that ends right before a line, blank lines aside. */
function noteBefore(lines: readonly string[], index: number): string | undefined {
  const before = lines.slice(0, index).join("\n").trimEnd();
  if (!before.endsWith("-->")) return undefined;
  const start = before.lastIndexOf("<!--");
  return start < 0 ? undefined : before.slice(start + 4, -3).trim();
}

function spansAndLinks(prose: readonly string[]): Pick<Document, "spans" | "links"> {
  // Spans and texts of links may go over the end of a line.
  const text = prose.join("\n");
  const lineAt = (offset: number): number => text.slice(0, offset).split("\n").length;
  const spans = [...text.matchAll(/`([^`]+)`/g)].map((match) => ({
    text: (match[1] ?? "").replaceAll(/\s+/g, " "),
    line: lineAt(match.index),
  }));
  const bare = text.replaceAll(/`[^`]+`/g, (span) => "_".repeat(span.length));
  const links = [...bare.matchAll(/\]\(([^()\s]+)\)/g)].map((match) => ({
    target: match[1] ?? "",
    line: lineAt(match.index),
  }));
  return { spans, links };
}

function anchorsOf(prose: readonly string[]): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const line of prose) {
    const [, heading] = /^#+ (.*)$/.exec(line) ?? [];
    if (heading === undefined) continue;
    const slug = anchorOf(heading);
    let anchor = slug;
    for (let number = 1; anchors.has(anchor); number++) anchor = `${slug}-${number}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** As GitHub does it: lower case, letters, digits, hyphens and underscores, spaces to hyphens. */
export function anchorOf(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\- _]/gu, "")
    .replaceAll(" ", "-");
}
