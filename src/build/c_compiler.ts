import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Machine } from "../compile/backend.js";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";

/** A C compiler as it was found. */
export interface CCompiler {
  /** The program, and what comes before all other arguments. */
  readonly command: readonly [string, ...string[]];
  /** What it says of itself, in one line. */
  readonly version: string;
  readonly machine: Machine;
}

/** Processors for which `--cross` finds a compiler by its name. */
export const crossProcessors = ["aarch64", "x86_64"] as const;

export type CrossProcessor = (typeof crossProcessors)[number];

/** Where compilers are looked for, and for whom. */
export interface Host {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** This machine. */
const here = (): Host => ({ platform: process.platform, environment: process.env });

/**
 * The first C compiler that there is of those that CC names or, where it names none, of cc, gcc and clang.
 * @param cross the processor to make code for, where it is another machine's
 * @throws PenniError "unsupported" saying what was looked for and how it is installed
 */
export async function findCompiler(cross?: CrossProcessor, host: Host = here()): Promise<CCompiler> {
  if (host.platform === "win32") {
    throw new PenniError("unsupported", "addons for Node are not built on Windows", {
      expected: "Linux or macOS",
      found: "Windows",
      advice: "Build it in WSL, for Linux, or use --target wasm, which Node runs everywhere",
    });
  }
  const stated = orDefault(host.environment.CC, "")
    .split(/\s+/)
    .filter((word) => word !== "");
  const candidates = candidatesFor(stated, cross);
  const others: string[] = [];
  for (const command of candidates) {
    const found = await describeCompiler(command, host);
    if (found !== undefined && isFor(found.machine, cross)) return found;
    if (found !== undefined) others.push(`${command.join(" ")} for ${found.machine.processor}`);
  }
  throw noCompiler(candidates, others, cross, host);
}

function candidatesFor(
  stated: readonly string[],
  cross: CrossProcessor | undefined,
): readonly CCompiler["command"][] {
  const [program, ...rest] = stated;
  const own: readonly CCompiler["command"][] = program === undefined ? [] : [[program, ...rest]];
  if (cross !== undefined) return [...own, [`${cross}-linux-gnu-gcc`], ["cc"], ["gcc"], ["clang"]];
  return own.length > 0 ? own : [["cc"], ["gcc"], ["clang"]];
}

function isFor({ processor }: Machine, cross: CrossProcessor | undefined): boolean {
  return cross === undefined || processor === cross;
}

/** Undefined where it cannot be run. */
async function describeCompiler(
  command: CCompiler["command"],
  { environment }: Host,
): Promise<CCompiler | undefined> {
  try {
    const [said, triple] = await Promise.all([
      compile(command, ["--version"], { env: environment }),
      compile(command, ["-dumpmachine"], { env: environment }),
    ]);
    const [version = command[0]] = said.split("\n");
    const [named = triple] = triple.trim().split("-");
    const processor = named === "arm64" ? "aarch64" : named;
    return { command, version, machine: { processor, isApple: /apple|darwin/.test(triple) } };
  } catch {
    return undefined;
  }
}

/** Calls a compiler and gives what it prints. */
export async function compile(
  [program, ...first]: CCompiler["command"],
  options: readonly string[],
  { cwd, env }: { readonly cwd?: string; readonly env?: Host["environment"] } = {},
): Promise<string> {
  const place = { ...(cwd === undefined ? {} : { cwd }), ...(env === undefined ? {} : { env }) };
  const { stdout } = await promisify(execFile)(program, [...first, ...options], {
    ...place,
    maxBuffer: 2 ** 24,
  });
  return stdout;
}

const packages: Readonly<Record<"native" | CrossProcessor, string>> = {
  native:
    "apt-get install gcc libc6-dev (Debian, Ubuntu), dnf install gcc (Fedora), apk add gcc musl-dev (Alpine)",
  aarch64: "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross (Debian, Ubuntu)",
  x86_64: "apt-get install gcc-x86-64-linux-gnu libc6-dev-amd64-cross (Debian, Ubuntu)",
};

function noCompiler(
  candidates: readonly CCompiler["command"][],
  others: readonly string[],
  cross: CrossProcessor | undefined,
  { platform }: Host,
): PenniError {
  const what = cross === undefined ? "" : ` for ${cross}`;
  const install =
    platform === "darwin" && cross === undefined ? "xcode-select --install" : packages[cross ?? "native"];
  return new PenniError("unsupported", `there is no C compiler${what}, which --target node needs`, {
    expected: candidates.map((command) => command.join(" ")).join(", or "),
    found: others.length === 0 ? "none that runs" : others.join(", "),
    advice: `Install one: ${install}; or name it in the environment variable CC`,
  });
}
