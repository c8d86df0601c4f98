import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { int, ints } from "../../src/graph/attributes.js";
import { CLASS_NAMES_KEY, imagenetPreprocessing, PREPROCESSING_KEY } from "../../src/graph/image_metadata.js";
import { float32Tensor } from "../../src/graph/tensor.js";
import type { Graph } from "../../src/graph/types.js";
import { encodeModel } from "../../src/onnx/write.js";
import { projectRoot } from "../../support/shared.js";
import { node, smallGraph } from "../../support/small_models.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-examples-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

/**
 * A copy of an example with these packages of this project, and penni itself, installed.
 * @returns its directory
 */
export function copyExample(name: string, packages: readonly string[] = []): string {
  const copy = path.join(folder, name);
  cpSync(path.join(projectRoot, "examples", name), copy, { recursive: true });
  const modules = path.join(copy, "node_modules");
  mkdirSync(modules);
  symlinkSync(projectRoot, path.join(modules, "penni"));
  for (const name of packages)
    symlinkSync(path.join(projectRoot, "node_modules", name), path.join(modules, name));
  return copy;
}

const SIZE = 16;

/** Pictures as numbers from 0 to 1. */
export const shares = { ...imagenetPreprocessing, mean: [0, 0, 0], std: [1, 1, 1] };

/** Tells which of three colours a picture has most of: its mean, ten times as large so that the answer is clear. */
export function colourClassifier(): Graph {
  const graph = smallGraph(
    [1, 3, SIZE, SIZE],
    [
      node("ReduceMean", ["x"], "mean", { axes: ints([2, 3]), keepdims: int(0) }),
      node("Mul", ["mean", "ten"], "y"),
    ],
    { ten: float32Tensor([1], [10]) },
  );
  return {
    ...graph,
    metadata: new Map([
      [CLASS_NAMES_KEY, JSON.stringify(["red", "green", "blue"])],
      [PREPROCESSING_KEY, JSON.stringify(shares)],
    ]),
  };
}

/** Writes a model where an example expects it. */
export function placeModel(copy: string, file: string, graph: Graph): void {
  writeFileSync(path.join(copy, file), encodeModel(graph));
}
