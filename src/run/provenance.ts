import path from "node:path";
import { penniVersion, versionIn } from "../files/version.js";
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
  const runtime = new URL("../package.json", import.meta.resolve("onnxruntime-node"));
  return {
    penni: penniVersion(),
    node: process.versions.node,
    onnxruntime: versionIn(runtime),
  };
}
