import { readFileSync } from "node:fs";
import path from "node:path";

/** What a compiled module imports, statically or not, in the order of its text. */
export function importsOf(code: string): readonly string[] {
  const withoutComments = code.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*)["']([\w@.:/-]+)["']/g;
  return [...withoutComments.matchAll(pattern)].map((match) => match[1] ?? "");
}

export interface Reachable {
  readonly files: readonly string[];
  /** Bare names, sorted: packages and modules of Node. */
  readonly packages: readonly string[];
}

/** Everything that a compiled module imports, directly or not; packages are not entered. */
export function reachableModules(entry: string): Reachable {
  const files = new Set<string>([entry]);
  const packages = new Set<string>();
  for (const file of files) {
    for (const name of importsOf(readFileSync(file, "utf8"))) {
      if (name.startsWith(".")) files.add(path.resolve(path.dirname(file), name));
      else packages.add(name);
    }
  }
  return { files: [...files], packages: [...packages].toSorted() };
}
