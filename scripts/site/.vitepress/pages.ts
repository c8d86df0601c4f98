/** A page of the site: a Markdown file of the repository, and what the navigation calls it. */
export interface Page {
  readonly text: string;
  /** Relative to the repository. */
  readonly file: string;
}

export interface Section {
  readonly text: string;
  readonly pages: readonly Page[];
  /** Closed until it is asked for. */
  readonly collapsed?: true;
}

/** The README is the page that a visitor sees first. */
export const HOME = "README.md";

/** Where the API reference lies in the site; TypeDoc writes it there (scripts/api/typedoc.json). */
export const API = "/api/index.html";

/** Every page, in the order in which a newcomer needs them. A Markdown file that is missing here is in no page (see `checkPages`). */
export const sections: readonly Section[] = [
  {
    text: "Begin",
    pages: [
      { text: "From your model to a page", file: "docs/start.md" },
      { text: "The method, with pictures", file: "docs/method.md" },
      { text: "From PyTorch, TensorFlow, Ultralytics", file: "docs/export.md" },
      { text: "Pictures and classes", file: "docs/data.md" },
    ],
  },
  {
    text: "Make it small",
    pages: [
      { text: "Choosing d and sparsity", file: "docs/choosing.md" },
      { text: "No labels", file: "docs/no-labels.md" },
      { text: "Compress: all of it", file: "docs/compress.md" },
      { text: "A size, a latency, a loss", file: "docs/goals.md" },
      { text: "Sweeps", file: "docs/sweep.md" },
      { text: "Sweeps on many machines", file: "docs/scale.md" },
      { text: "Train a network", file: "docs/train.md" },
    ],
  },
  {
    text: "Run it",
    pages: [
      { text: "Browsers, Node, C", file: "docs/compile.md" },
      { text: "Playground", file: "web/README.md" },
      { text: "Examples", file: "examples/README.md" },
      { text: "From PyTorch to a page", file: "examples/page/README.md" },
      { text: "A worker and a camera", file: "examples/background/README.md" },
      { text: "A detector", file: "examples/detector/README.md" },
      { text: "A worker at the edge", file: "examples/edge/README.md" },
      { text: "A server with a pool", file: "examples/server/README.md" },
      { text: "A C build", file: "examples/c/README.md" },
      { text: "A budget for CI", file: "examples/budget/README.md" },
    ],
  },
  {
    text: "Look up",
    pages: [
      { text: "Troubleshooting by message", file: "docs/troubleshooting.md" },
      { text: "The library", file: "docs/library.md" },
      { text: "Formats", file: "docs/formats.md" },
      { text: "Benchmarks", file: "docs/benchmarks.md" },
      { text: "Results on record", file: "results/README.md" },
      { text: "The recipe", file: "docs/recipe.md" },
      { text: "What changed", file: "CHANGELOG.md" },
    ],
  },
  {
    text: "Change Penni",
    collapsed: true,
    pages: [
      { text: "Contributing", file: "CONTRIBUTING.md" },
      { text: "Architecture", file: "ARCHITECTURE.md" },
      { text: "Decisions", file: "docs/decisions.md" },
      { text: "Speed of training", file: "docs/training-speed.md" },
    ],
  },
];

const names: ReadonlyMap<string, string> = new Map([
  [HOME, "README"],
  ...sections.flatMap(({ pages }) => pages).map(({ file, text }): [string, string] => [file, text]),
]);

export const isPage = (file: string): boolean => names.has(file);

/** What the navigation calls a page. */
export const nameOf = (file: string): string | undefined => names.get(file);

/** Where the site has a file of the repository: `docs/data.md` is `data.md`, `examples/page/README.md` is `examples/page.md`. */
export function placeOf(file: string): string {
  if (file === HOME) return "index.md";
  return file
    .replace(/^docs\//, "")
    .replace(/\/README\.md$/, ".md")
    .replace(/^[A-Z]+\.md$/, (name) => name.toLowerCase());
}

/** Says which Markdown files no navigation leads to, and which ones it names that there are not. */
export function checkPages(found: readonly string[]): void {
  const lost = found.filter((file) => !isPage(file));
  const missing = [...names.keys()].filter((file) => !found.includes(file));
  if (lost.length + missing.length === 0) return;
  throw new Error(
    `scripts/site/.vitepress/pages.ts does not name ${lost.join(", ") || "nothing"}, and names ${missing.join(", ") || "nothing"} that is not there`,
  );
}
