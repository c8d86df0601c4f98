import { existsSync, statSync } from "node:fs";
import path from "node:path";
import type { MarkdownRenderer } from "vitepress";
import { anchorOfFile, exampleFile } from "./examples.js";
import { isPage, nameOf, placeOf } from "./pages.js";

/** Text files of the repository that pages link to; the site holds copies of them (see `copiedFiles`). */
const copied = new Set<string>();

/** Files that were linked to so far, relative to the repository. */
export const copiedFiles = (): readonly string[] => [...copied];

/** Where the site has its copy of a file: as plain text, which every host serves so that it can be read. */
export const copyOf = (file: string): string => `files/${file}.txt`;

interface Target {
  readonly href: string;
  /** What the navigation calls it, if it is a page. */
  readonly name?: string | undefined;
}

/**
 * Links as they are written for readers of the repository, who follow them from file to file, made those of the site: a Markdown
 * file, or a folder with a README.md, is a page; a file of an example stands on the example's page; any other is copied. What does not
 * exist stays as it is for the check of dead links. A link that is called as its file is called as its page.
 */
export function linksOfTheSite(root: string) {
  return (md: MarkdownRenderer): void => {
    md.core.ruler.push("penni-links", ({ tokens, env }) => {
      const from = path.relative(root, env.realPath ?? env.path);
      for (const { children } of tokens) {
        for (const [index, token] of (children ?? []).entries()) {
          const href = token.type === "link_open" ? token.attrGet("href") : null;
          if (href === null) continue;
          const target = targetOf(root, from, href);
          token.attrSet("href", target.href);
          const text = children?.[index + 1];
          if (text?.type === "text" && text.content === path.basename(href))
            text.content = target.name ?? text.content;
        }
      }
    });
  };
}

function targetOf(root: string, from: string, link: string): Target {
  const [, place = "", rest = ""] = /^([^?#]*)(.*)$/.exec(link) ?? [];
  if (place === "" || place.startsWith("/") || /^[a-z][a-z+.-]*:/i.test(place)) return { href: link };
  const file = path.posix.join(path.posix.dirname(from), decodeURI(place)).replace(/\/$/, "");
  const page = isPage(file) ? file : path.posix.join(file, "README.md");
  if (isPage(page)) return { href: `/${placeOf(page)}${rest}`, name: nameOf(page) };
  const absolute = path.join(root, file);
  if (!existsSync(absolute) || !statSync(absolute).isFile()) return { href: link };
  const inExample = exampleFile(file);
  if (inExample !== undefined)
    return { href: `/examples/${inExample.example}.md#${anchorOfFile(inExample.name)}` };
  copied.add(file);
  return { href: `/${copyOf(file)}` };
}
