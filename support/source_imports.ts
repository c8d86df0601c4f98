import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "./shared.js";

/** What each TypeScript file imports of the project's own, types included: paths from the project's root, with "/". */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

const OWN_IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)\.js"/g;
const NODE_IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*"(node:[^"]+)"/g;

/** The TypeScript files of folders of the project, with everything below them: paths as in `ImportGraph`. */
export function sourceFiles(folders: readonly string[]): readonly string[] {
  return folders.flatMap((folder) =>
    readdirSync(path.join(projectRoot, folder), { recursive: true })
      .map(String)
      .filter((file) => /\.tsx?$/.test(file))
      .map((file) => path.posix.join(folder, file.split(path.sep).join("/"))),
  );
}

/** @param folders of the project, with everything below them */
export function importGraph(folders: readonly string[]): ImportGraph {
  return new Map(sourceFiles(folders).map((file) => [file, ownImports(file)]));
}

function ownImports(file: string): readonly string[] {
  const text = readFileSync(path.join(projectRoot, file), "utf8");
  const found = [...text.matchAll(OWN_IMPORT)].map(([, name = ""]) =>
    sourceOf(path.posix.join(path.posix.dirname(file), name)),
  );
  return [...new Set(found)];
}

/** The file that a module is compiled from. */
function sourceOf(module: string): string {
  return existsSync(path.join(projectRoot, `${module}.tsx`)) ? `${module}.tsx` : `${module}.ts`;
}

/** The modules of Node that a file imports. */
export function nodeImports(file: string): readonly string[] {
  const text = readFileSync(path.join(projectRoot, file), "utf8");
  return [...text.matchAll(NODE_IMPORT)].map(([, name = ""]) => name);
}

/**
 * A way round through a graph: keys of which each leads to the next and the last to the first; undefined if there is
 * none. A key that leads nowhere may be missing.
 */
export function findCircle(graph: ReadonlyMap<string, Iterable<string>>): readonly string[] | undefined {
  const done = new Set<string>();
  for (const start of graph.keys()) {
    const circle = circleFrom(graph, start, done);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

function circleFrom(
  graph: ReadonlyMap<string, Iterable<string>>,
  start: string,
  done: Set<string>,
): readonly string[] | undefined {
  const way: string[] = [];
  const visit = (key: string): readonly string[] | undefined => {
    if (done.has(key)) return undefined;
    const seen = way.indexOf(key);
    if (seen >= 0) return way.slice(seen);
    way.push(key);
    for (const next of graph.get(key) ?? []) {
      const circle = visit(next);
      if (circle !== undefined) return circle;
    }
    way.pop();
    done.add(key);
    return undefined;
  };
  return visit(start);
}
