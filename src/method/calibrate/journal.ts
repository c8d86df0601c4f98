import type { ZodType } from "zod";

/**
 * Keeps what a calibration has found out, piece by piece, so that one that was stopped need not find it out again.
 * What is kept is plain objects, lists, numbers and typed arrays.
 */
export interface CalibrationJournal {
  /** What was written under this key before; undefined if there is nothing that can be trusted. */
  read<Value>(key: string, schema: ZodType<Value>): Promise<Value | undefined>;
  write(key: string, value: unknown): Promise<void>;
}

/** What the journal has under a key, else what `make` returns, which the journal has from then on. */
export async function remembered<Value>(
  journal: CalibrationJournal | undefined,
  key: string,
  schema: ZodType<Value>,
  make: () => Promise<Value>,
): Promise<Value> {
  const known = await journal?.read(key, schema);
  if (known !== undefined) return known;
  const made = await make();
  await journal?.write(key, made);
  return made;
}
