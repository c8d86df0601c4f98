import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { parsedJson } from "./document.js";
import { describeIssues, digestSchema } from "./names.js";
import { versionsSchema } from "./payload.js";
import type { PointerName, Store } from "./store.js";

/** What pointers of a trial lead to, but for its checkpoint and its lines of metrics. */
const schemas = {
  /** A trial that is done. */
  result: z.strictObject({
    format: z.literal(1),
    trial: digestSchema,
    /** The files of its run. */
    manifest: digestSchema,
    versions: versionsSchema,
    worker: z.string().max(200),
    attempts: z.int().min(1),
  }),
  /** What the sweep wants of a trial that is running. */
  request: z.strictObject({ format: z.literal(1), ask: z.enum(["stop", "pause"]) }),
  /** How often a trial was started from a checkpoint, or from its beginning. */
  starts: z.strictObject({
    format: z.literal(1),
    checkpoint: digestSchema.nullable(),
    count: z.int().min(1),
  }),
} as const satisfies Partial<Record<PointerName, z.ZodType>>;

type RecordName = keyof typeof schemas;
export type StoreRecord<Name extends RecordName> = z.infer<(typeof schemas)[Name]>;

/** Undefined where there is none. @throws PenniError "bad-file" if it is another's, or damaged */
export async function readRecord<Name extends RecordName>(
  store: Store,
  trial: string,
  name: Name,
): Promise<StoreRecord<Name> | undefined> {
  const sha256 = await store.pointed(trial, name);
  if (sha256 === undefined) return undefined;
  const checked = schemas[name].safeParse(parsedJson(await store.read(sha256, trial)));
  if (checked.success) return checked.data as StoreRecord<Name>;
  throw new PenniError("bad-file", `the store has a ${name} of a trial that is none of Penni's`, {
    found: describeIssues(checked.error),
  });
}

export async function writeRecord<Name extends RecordName>(
  store: Store,
  trial: string,
  name: Name,
  record: StoreRecord<Name>,
): Promise<void> {
  // What the sweep writes is not the worker's to remove: it may do so before the pointer is set.
  const owner = name === "request" ? undefined : trial;
  await store.point(trial, name, await store.put(JSON.stringify(record), owner));
}
