import { readFileSync } from "node:fs";
import path from "node:path";
import type { RunConfig } from "./config.js";

/** A run may be resumed from another directory, so paths in the specification are made absolute. */
export function absoluteSpec(spec: string): string {
  const colon = spec.indexOf(":");
  const kind = spec.slice(0, colon);
  if (colon < 0 || kind === "synthetic") return spec;
  return `${kind}:${path.resolve(spec.slice(colon + 1))}`;
}

/** Of what a run depends on. */
export function versions(): RunConfig["versions"] {
  const version = (file: URL): string =>
    (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
  const runtime = new URL("../package.json", import.meta.resolve("onnxruntime-node"));
  return {
    penni: version(new URL("../../../package.json", import.meta.url)),
    node: process.versions.node,
    onnxruntime: version(runtime),
  };
}
