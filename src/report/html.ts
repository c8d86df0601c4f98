import { escapeHtml, type Html } from "../text/destinations.js";

/** In one line of at most `length` characters; the end stays, which tells names like /layer1/conv1/Conv apart. */
export function shortenStart(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= length ? line : `\u2026${line.slice(line.length - length + 1)}`;
}

/** A name that lines are broken in behind slashes. */
export function breakable(name: string): Html {
  return escapeHtml(name).replaceAll("/", "/<wbr>") as Html;
}
