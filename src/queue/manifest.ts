import { z } from "zod";
import { entryOf } from "../graph/at.js";
import { digestSchema, runFileSchema } from "./names.js";
import type { Store } from "./store.js";

/** Files up to here stand in the list itself: one file for the store to write, and to bring to the disk, not ten. */
export const LARGEST_HELD = 2 ** 15;
/** All of a list that stands in it. */
export const MOST_HELD = 2 ** 20;

/** A file of a run: an object of the store, or its content. */
const entrySchema = z.union([
  z.strictObject({ name: runFileSchema, sha256: digestSchema }),
  z.strictObject({ name: runFileSchema, base64: z.base64() }),
]);

/** The files of a run at one moment. */
export const manifestSchema = z.strictObject({
  format: z.literal(1),
  files: z.array(entrySchema).max(10_000),
});

export type ManifestEntry = z.infer<typeof entrySchema>;
export type Manifest = z.infer<typeof manifestSchema>;

/** The objects that a run needs. */
export function objectsIn({ files }: Manifest): ReadonlySet<string> {
  return new Set(files.flatMap((file) => ("sha256" in file ? [file.sha256] : [])));
}

export const heldContent = (base64: string): Uint8Array => Buffer.from(base64, "base64");

/** One file of a run. @throws PenniError "internal" if it has no such file; as `Store.read` */
export async function readRunFile(
  { files }: Manifest,
  trial: string,
  store: Store,
  name: string,
): Promise<Uint8Array> {
  const file = entryOf(new Map(files.map((each) => [each.name, each])), name);
  return "sha256" in file ? store.read(file.sha256, trial) : heldContent(file.base64);
}
