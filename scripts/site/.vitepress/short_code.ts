import type { MarkdownRenderer } from "vitepress";

/** What fits in a line of a telephone beside other words. */
const SHORT = 24;

/** Marks names and options, which are not to be broken after their hyphens, among longer pieces of code. */
export function shortCode(md: MarkdownRenderer): void {
  md.core.ruler.push("penni-short-code", ({ tokens }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? []))
      if (token.type === "code_inline" && token.content.length <= SHORT) token.attrJoin("class", "short");
  });
}
