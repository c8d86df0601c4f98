import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The project's root, from dist/support/. */
export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** A path below ../shared, which is read in place and never copied. */
export function sharedPath(relative: string): string {
  return path.resolve(projectRoot, "../shared", relative);
}

/** For `test(name, { skip: withoutShared("models/resnet20.onnx") }, ...)`: false, or the reason to skip. */
export function withoutShared(relative: string): string | false {
  return existsSync(sharedPath(relative)) ? false : `needs ../shared/${relative}, which is not here`;
}
