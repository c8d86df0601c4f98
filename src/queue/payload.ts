import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { describeIssues, digestSchema, storeIdSchema } from "./names.js";

/** What the result of a trial depends on besides its settings. */
export const versionsSchema = z.strictObject({
  penni: z.string().regex(/^[\w.+-]{1,64}$/, "expected a version"),
  onnxruntime: z.string().regex(/^[\w.+-]{1,64}$/, "expected a version"),
});

export type Versions = z.infer<typeof versionsSchema>;

const FORMAT = 1;

/** All that goes through Redis of a trial: digests, and versions. What they stand for is in the store. */
export const payloadSchema = z.strictObject({
  format: z.literal(FORMAT),
  trial: digestSchema,
  document: digestSchema,
  versions: versionsSchema,
  /** Where what they stand for is. */
  store: storeIdSchema,
});

export type Payload = z.infer<typeof payloadSchema>;

/** How jobs are named. */
export const JOB_NAME = "trial";

/** One trial is one job, however often it is put on the queue. */
export const jobIdOf = (trial: string): string => `${JOB_NAME}-${trial}`;

export function trialOfJob(jobId: string | undefined): string | undefined {
  return /^trial-([0-9a-f]{64})$/.exec(jobId ?? "none")?.[1];
}

/** What a queue gives a worker: it may come from anybody who can reach Redis. */
interface GivenJob {
  readonly id?: string | undefined;
  readonly name: string;
  readonly data: unknown;
}

/** @throws PenniError "unsupported" if it is a trial of a later version of Penni, which others may know */
export function checkFormat({ name, data }: GivenJob, worker: string): void {
  const format: unknown = typeof data === "object" && data !== null ? Reflect.get(data, "format") : undefined;
  if (name !== JOB_NAME || typeof format !== "number" || !Number.isInteger(format) || format <= FORMAT)
    return;
  throw new PenniError("unsupported", `the worker ${worker} is of an older version of penni than the sweep`, {
    expected: `trials of format ${FORMAT}`,
    found: `format ${format}`,
    advice: "Install the same version",
  });
}

/** @throws PenniError "bad-file" that says what of a job is not ours */
export function readPayload({ id, name, data }: GivenJob): Payload {
  const checked = payloadSchema.safeParse(data);
  if (!checked.success) throw foreign(describeIssues(checked.error));
  if (name !== JOB_NAME) throw foreign(`the job's name "${name.slice(0, 60)}"`);
  if (id !== jobIdOf(checked.data.trial)) throw foreign("the number of another job");
  return checked.data;
}

function foreign(found: string): PenniError {
  return new PenniError("bad-file", "refused a job that is no trial of Penni's", {
    expected: "format, trial, document, versions and store, each as penni sweep writes it",
    found,
  });
}

/** @throws PenniError "unsupported" if the worker has another store than the sweep: it would find nothing of the trial */
export function checkStore(wanted: string, own: string, worker: string): void {
  if (wanted === own) return;
  throw new PenniError("unsupported", `the worker ${worker} has another store than the sweep`, {
    expected: `the store ${wanted.slice(0, SHORT)}`,
    found: own.slice(0, SHORT),
    advice: "Give both the same directory with --store",
  });
}

const SHORT = 8;

/** @throws PenniError "unsupported" naming both versions of what differs */
export function checkVersions(wanted: Versions, own: Versions, worker: string): void {
  const names = { penni: "penni", onnxruntime: "ONNX Runtime" } as const;
  for (const key of ["penni", "onnxruntime"] as const)
    if (wanted[key] !== own[key])
      throw new PenniError("unsupported", `the worker ${worker} has another version of ${names[key]}`, {
        expected: wanted[key],
        found: own[key],
        advice: "Install the same version, or allow it with penni worker --mixed",
      });
}
