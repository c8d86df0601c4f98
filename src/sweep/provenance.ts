import { versions } from "../run/provenance.js";
import type { TrialProvenance } from "./trial.js";

/** The versions here of what a trial's result depends on. */
export function resultVersions(): Pick<TrialProvenance, "penni" | "onnxruntime"> {
  const { penni, onnxruntime } = versions();
  return { penni, onnxruntime };
}
