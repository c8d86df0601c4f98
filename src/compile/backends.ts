import type { Backend } from "./backend.js";

/** A target as the command line knows it before its code is needed. */
interface TargetEntry {
  /** What a model is turned into. */
  readonly makes: string;
  readonly load: () => Promise<{ readonly backend: Backend }>;
}

/** What programs can be printed for, by the name that follows `--target`. */
const targets = {
  wasm: { makes: "a WebAssembly module", load: () => import("./wasm/backend.js") },
  c: { makes: "C code", load: () => import("./c/backend.js") },
  node: { makes: "an addon for Node", load: () => import("./node/backend.js") },
} as const satisfies Readonly<Record<string, TargetEntry>>;

export type TargetName = keyof typeof targets;

export const targetNames = Object.keys(targets) as readonly TargetName[];

/** What all targets make of a model, for people: "a WebAssembly module, C code or an addon for Node". */
export const targetProducts = Object.values(targets)
  .map(({ makes }) => makes)
  .join(", ")
  .replace(/, ([^,]*)$/, " or $1");

/** The back end of a target. */
export async function loadBackend(name: TargetName): Promise<Backend> {
  return (await targets[name].load()).backend;
}
