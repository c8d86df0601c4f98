import { existsSync } from "node:fs";
import path from "node:path";
import type { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { configSchema } from "./config.js";
import { checkEntries } from "./entries.js";
import { isLockFile } from "./lock.js";
import { listDirectory, parseJson, readText } from "./texts.js";
import { trainingKind } from "./training_config.js";

export const CONFIG = "config.json";
/** Where a run is put together in a directory that is there already. */
export const DRAFT = ".new";
export const FOLDERS = ["checkpoints", "stages"] as const;

/** What runs there are, and how each is started and gone on with. */
const runKinds = {
  compression: "penni compress",
  training: "penni train",
} as const;

type RunKind = keyof typeof runKinds;

/** What every configuration has. */
const configKeys = configSchema.pick({ format: true, model: true });

/**
 * The configuration of a run of this kind.
 * @throws PenniError "bad-file" if there is none, or one of another kind
 */
export async function readConfig<Config>(
  root: string,
  kind: RunKind,
  schema: z.ZodType<Config>,
): Promise<Config> {
  const file = path.join(root, CONFIG);
  if (!existsSync(file)) {
    throw new PenniError("bad-file", "there is no run to resume", {
      file: root,
      expected: "a directory with config.json",
      advice: `Start one with: ${runKinds[kind]} MODEL --data SPEC -o DIR`,
    });
  }
  await checkEntries([root, ...FOLDERS.map((folder) => path.join(root, folder))]);
  const json = parseJson(await readText(file));
  const found = kindOf(json);
  if (found !== undefined && found !== kind) {
    throw new PenniError("bad-file", `the run in this directory is a ${found}`, {
      file: root,
      advice: await goOnAdvice(root),
    });
  }
  const config = schema.safeParse(json);
  if (config.success) return config.data;
  throw new PenniError("bad-file", "the run's configuration cannot be read", {
    file,
    found: json === undefined ? "no JSON" : describeIssues(config.error),
    advice: "Start a new run directory",
  });
}

function describeIssues({ issues }: z.ZodError): string {
  return issues.map(({ path: [...keys], message }) => [...keys.map(String), message].join(": ")).join("; ");
}

/** @throws PenniError "io" if the directory holds anything but locks and what a killed start left behind */
export async function checkEmpty(root: string): Promise<void> {
  const entries = (await listDirectory(root)).filter((name) => name !== DRAFT && !isLockFile(name));
  if (entries.length === 0) return;
  const isRun = entries.includes(CONFIG);
  throw new PenniError(
    "io",
    isRun ? "there is a run in this directory already" : "this directory is not empty",
    {
      file: root,
      advice: isRun ? await goOnAdvice(root) : "Choose a new directory with -o",
    },
  );
}

async function goOnAdvice(root: string): Promise<string> {
  await checkEntries([root]);
  const kind = kindOf(parseJson(await readText(path.join(root, CONFIG))));
  if (kind === undefined) return "Its configuration is damaged: choose a new directory with -o";
  return `Go on with it: ${runKinds[kind]} --resume ${root}`;
}

/** Undefined of what is no configuration at all: a compression's is one that names no kind. */
function kindOf(config: unknown): RunKind | undefined {
  if (trainingKind.safeParse(config).success) return "training";
  return configKeys.safeParse(config).success ? "compression" : undefined;
}
