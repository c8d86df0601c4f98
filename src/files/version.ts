import { readFileSync } from "node:fs";

/** The version that a package.json states. */
export function versionIn(packageFile: URL): string {
  return (JSON.parse(readFileSync(packageFile, "utf8")) as { version: string }).version;
}

/** The version of this package. */
export function penniVersion(): string {
  return versionIn(new URL("../../../package.json", import.meta.url));
}
