import { z } from "zod";

/** SHA-256 in 64 hexadecimal digits: the name of an object of the store, and of a trial. */
export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");

/** A store's own: a directory that is copied is another one only if its marker is made anew. */
export const storeIdSchema = z.string().regex(/^[0-9a-f]{32}$/, "expected 32 hexadecimal digits");

const LONGEST_PATH = 400;
const DEEPEST = 8;

/** Segments that are no way out of a folder, and that every system takes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are refused
const SEGMENT = /^(?!\.{1,2}$)[^/\\:*?"<>|\x00-\x1f\x7f]{1,200}$/u;

/** Whether a path leads from a folder to something below it, written in one way only. */
export function isPathBelow(name: string): boolean {
  const segments = name.split("/");
  return (
    name.length <= LONGEST_PATH && segments.length <= DEEPEST && segments.every((each) => SEGMENT.test(each))
  );
}

/** A path of a file below a folder, with "/" between its parts. */
export const pathBelowSchema = z.string().refine(isPathBelow, "expected a path below its folder");

/** The files of a run's directory: no hidden ones, one folder deep. */
export const runFileSchema = z
  .string()
  .max(LONGEST_PATH)
  .regex(/^(?:[A-Za-z0-9][\w-]*\/)?[A-Za-z0-9][\w.-]*$/, "expected the name of a run's file");

/** What is wrong with data, in one line: "versions.penni: expected string". */
export function describeIssues({ issues }: z.ZodError): string {
  return issues
    .map(({ path: keys, message }) =>
      keys.length === 0 ? message : `${keys.map(String).join(".")}: ${message}`,
    )
    .join("; ");
}
