import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { MarkdownRenderer } from "vitepress";
import { anchorOf } from "../../../support/markdown.js";

/** What Shiki calls the languages of files that are not called so by their ending. */
const LANGUAGES: Readonly<Record<string, string>> = { Makefile: "makefile", ".yml": "yaml" };

/** Which example a file of the repository belongs to, and its place there. */
export function exampleFile(file: string): { readonly example: string; readonly name: string } | undefined {
  const [, example, name] = /^examples\/([^/]+)\/(.+)$/.exec(file) ?? [];
  if (example === undefined || name === undefined || name === "README.md") return undefined;
  return { example, name };
}

/** The anchor of a file's code on the page of its example. */
export const anchorOfFile = (name: string): string => anchorOf(name);

/** Shows the files of an example below its README. */
export function filesOfExamples(root: string) {
  return (md: MarkdownRenderer): void => {
    const render = md.render.bind(md);
    md.render = (text, env) => {
      const file = path.relative(root, env.realPath ?? env.path);
      const isExample = /^examples\/[^/]+\/README\.md$/.test(file);
      return render(isExample ? `${text}\n${code(path.join(root, path.dirname(file)))}` : text, env);
    };
  };
}

function code(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    // Not what was made or installed there by trying it.
    .filter((name) => !/^(?:README\.md|node_modules|dist|compiled|package-lock)|\.(?:onnx|wasm)$/.test(name))
    .toSorted();
  const blocks = files.map((name) => {
    const ending = path.extname(name);
    const language = LANGUAGES[path.basename(name)] ?? LANGUAGES[ending] ?? ending.slice(1);
    return `### ${name}\n\n\`\`\`\`${language}\n${readFileSync(path.join(folder, name), "utf8").trimEnd()}\n\`\`\`\`\n`;
  });
  return `## Files\n\n${blocks.join("\n")}`;
}
