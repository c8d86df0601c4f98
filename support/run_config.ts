import { imagenetPreprocessing } from "../src/data/preprocessing.js";
import { presets, type RunConfig } from "../src/run/config.js";
import type { PresetName } from "../src/run/names.js";

/** The configuration of a run that nobody starts. */
export function runConfig(preset: PresetName): RunConfig {
  const { mean, std, ...rest } = imagenetPreprocessing;
  return {
    format: 1,
    model: "/somewhere/model.onnx",
    data: "synthetic:100",
    seed: 3,
    preset,
    settings: { ...presets[preset], threads: 1 },
    preprocessing: { ...rest, mean: [...mean], std: [...std] },
    versions: { penni: "0", node: "20", onnxruntime: "1" },
  };
}
