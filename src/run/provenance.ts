import path from "node:path";
import { placedSpec } from "../data/spec.js";
import { penniVersion, versionIn } from "../files/version.js";
import type { RunConfig } from "./config.js";

/** A run may be resumed from another directory, so the path in a specification is made absolute. */
export function absoluteSpec(spec: string): string {
  const placed = placedSpec(spec);
  return placed === undefined ? spec : `${placed.kind}${path.resolve(placed.place)}`;
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
