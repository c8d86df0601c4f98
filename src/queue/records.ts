import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { parsedJson } from "./document.js";
import { manifestSchema } from "./manifest.js";
import { describeIssues, digestSchema } from "./names.js";
import { versionsSchema } from "./payload.js";
import type { RecordName, Store } from "./store.js";

/** What a trial's records say, but for its lines of metrics, which are no JSON as a whole. */
export const recordSchemas = {
  /** The run as far as it came. */
  checkpoint: manifestSchema,
  /** A trial that is done. */
  result: z.strictObject({
    format: z.literal(1),
    trial: digestSchema,
    /** The files of its run. */
    manifest: manifestSchema,
    versions: versionsSchema,
    worker: z.string().max(200),
    attempts: z.int().min(1),
  }),
  /** What the sweep wants of a trial that is running. */
  request: z.strictObject({ format: z.literal(1), ask: z.enum(["stop", "pause"]) }),
  /** How often a trial was started from a checkpoint, known by its digest, or from its beginning. */
  starts: z.strictObject({
    format: z.literal(1),
    checkpoint: digestSchema.nullable(),
    count: z.int().min(1),
  }),
} as const satisfies Partial<Record<RecordName, z.ZodType>>;

type JsonRecordName = keyof typeof recordSchemas;
export type StoreRecord<Name extends JsonRecordName> = z.infer<(typeof recordSchemas)[Name]>;

/** Undefined where there is none. @throws PenniError "bad-file" if it is another's, or damaged */
export async function readRecord<Name extends JsonRecordName>(
  store: Store,
  trial: string,
  name: Name,
): Promise<StoreRecord<Name> | undefined> {
  const content = await store.record(trial, name);
  return content === undefined ? undefined : parsedRecord(content, name);
}

/** @throws PenniError "bad-file" */
export function parsedRecord<Name extends JsonRecordName>(
  content: Uint8Array,
  name: Name,
): StoreRecord<Name> {
  const checked = recordSchemas[name].safeParse(parsedJson(content));
  if (checked.success) return checked.data as StoreRecord<Name>;
  throw new PenniError("bad-file", `the store has a ${name} of a trial that is none of Penni's`, {
    found: describeIssues(checked.error),
  });
}

export async function writeRecord<Name extends JsonRecordName>(
  store: Store,
  trial: string,
  name: Name,
  record: StoreRecord<Name>,
): Promise<void> {
  await store.setRecord(trial, name, JSON.stringify(record));
}
