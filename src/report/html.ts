const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The same text with a sign in place of control characters, which are not allowed in documents. */
export function withoutControls(text: string): string {
  return text.replaceAll(/[^\P{Cc}\t\n]/gu, "\u{FFFD}");
}

/** Text for an HTML or SVG document, also within attributes. Names come from models and may hold markup. */
export function escapeHtml(text: string): string {
  return withoutControls(text).replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** In one line of at most `length` characters; the end stays, which tells names like /layer1/conv1/Conv apart. */
export function shortenStart(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= length ? line : `\u2026${line.slice(line.length - length + 1)}`;
}
