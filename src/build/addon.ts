import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import type { AddonExecution, EmittedFile } from "../compile/backend.js";
import { PenniError } from "../graph/errors.js";
import type { CIdentifier } from "../text/destinations.js";
import { type CCompiler, type CrossProcessor, compile, findCompiler } from "./c_compiler.js";

/** How an addon was built. */
export interface BuiltWith {
  /** What the C compiler says of itself. */
  readonly compiler: string;
  /** Whose code it holds: "x86_64", "aarch64". */
  readonly processor: string;
  /** What it chooses from when it is loaded, the best first. */
  readonly instructionSets: readonly string[];
}

export interface BuiltAddon {
  /** The addon, and what was emitted beside its sources. */
  readonly files: readonly EmittedFile[];
  readonly builtWith: BuiltWith;
}

/**
 * Makes an addon of what its back end emitted.
 * @param cross the processor to make it for, where it is another machine's
 * @throws PenniError "unsupported" if there is no C compiler, or if it fails, with the first of what it says
 */
export async function buildAddon(
  emitted: readonly EmittedFile[],
  execution: AddonExecution,
  name: CIdentifier,
  cross?: CrossProcessor,
): Promise<BuiltAddon> {
  const compiler = await findCompiler(cross);
  const { file, sources, instructionSets, objects, link } = execution.build(name, compiler.machine);
  const directory = await mkdtemp(path.join(tmpdir(), "penni-addon-"));
  try {
    for (const { name: source, content } of emitted) await writeFile(path.join(directory, source), content);
    const call = (options: readonly string[]): Promise<void> => callCompiler(compiler, options, directory);
    const headers = ["-isystem", headerDirectory()];
    // Settled, not all: what still runs would write into a directory that is gone.
    const calls = await Promise.allSettled(
      objects.map(({ options, needsHeaders }) => call([...(needsHeaders ? headers : []), ...options])),
    );
    for (const each of calls) if (each.status === "rejected") throw each.reason;
    await call(link);
    const addon: EmittedFile = {
      name: file,
      content: new Uint8Array(await readFile(path.join(directory, file))),
    };
    const { version, machine } = compiler;
    return {
      files: [addon, ...emitted.filter((each) => !sources.includes(each.name))],
      builtWith: { compiler: version, processor: machine.processor, instructionSets },
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Those of Node-API. */
function headerDirectory(): string {
  const { include_dir: directory } = createRequire(import.meta.url)("node-api-headers") as {
    readonly include_dir: string;
  };
  return directory;
}

async function callCompiler(
  { command, version }: CCompiler,
  options: readonly string[],
  directory: string,
): Promise<void> {
  try {
    await compile(command, options, { cwd: directory });
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    const lines = said.split("\n").filter((line) => line.trim() !== "");
    const isMissing = /fatal error: .*(?:file not found|No such file)|cannot find (?:crti|-l)/.test(said);
    throw new PenniError(
      "unsupported",
      "the C compiler fails",
      {
        found: `${version}: ${(lines.find((line) => /error/.test(line)) ?? lines[0])?.slice(0, 500)}`,
        advice: isMissing
          ? "What is missing comes with the C library's development files: libc6-dev (Debian, Ubuntu), musl-dev (Alpine)"
          : "Try another one: name it in the environment variable CC",
      },
      { cause: error },
    );
  }
}
