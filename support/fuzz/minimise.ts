import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { clone, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type GraphProto, type ModelProto, ModelProtoSchema } from "../../src/onnx/gen/onnx_pb.js";
import { CaseRunner } from "./case_runner.js";
import { cook, type Recipe } from "./cases.js";
import type { Failure, Task } from "./protocol.js";

/** A model that fails in the same way with as little in it as could be found. */
export interface Minimised {
  readonly recipe: Recipe;
  readonly bytes: Uint8Array;
  readonly nodes: number;
}

/** A trial costs a whole time limit where the failure is a hang. */
const MOST_TRIALS = 100;
const MOST_TRIALS_OF_HANGS = 10;

class Trials {
  private readonly folder = mkdtempSync(path.join(tmpdir(), "penni-fuzz-"));
  private readonly runner = new CaseRunner();
  private left: number;

  constructor(private readonly failure: Failure) {
    this.left = failure.signature === "hang" ? MOST_TRIALS_OF_HANGS : MOST_TRIALS;
  }

  async fails(task: Task): Promise<boolean> {
    if (this.left === 0) return false;
    this.left -= 1;
    const report = await this.runner.run(task);
    return report.kind === "failed" && report.signature === this.failure.signature;
  }

  failsBytes(bytes: Uint8Array): Promise<boolean> {
    const file = path.join(this.folder, "trial.onnx");
    writeFileSync(file, bytes);
    return this.fails({ kind: "file", file });
  }

  end(): void {
    this.runner.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Leaves out steps of the recipe, then nodes and values of the model, while it fails as before. */
export async function minimise(
  recipe: Recipe,
  failure: Failure,
  numbers: { readonly seed: number; readonly index: number; readonly models: "own" | "all" },
): Promise<Minimised> {
  const trials = new Trials(failure);
  try {
    const kept = await fewestSteps(recipe, trials, numbers);
    const small = { ...recipe, steps: kept.flatMap((step) => recipe.steps[step] ?? []) };
    return { recipe: small, ...(await smallestModel(cook(small), trials)) };
  } finally {
    trials.end();
  }
}

async function fewestSteps(
  recipe: Recipe,
  trials: Trials,
  numbers: { readonly seed: number; readonly index: number; readonly models: "own" | "all" },
): Promise<readonly number[]> {
  let kept: readonly number[] = [...recipe.steps.keys()];
  for (const step of kept) {
    const fewer = kept.filter((other) => other !== step);
    if (await trials.fails({ kind: "case", ...numbers, kept: fewer })) kept = fewer;
  }
  return kept;
}

type Part = "node" | "initializer" | "output" | "input" | "valueInfo";

const parts: readonly Part[] = ["valueInfo", "node", "initializer", "output", "input"];

/** Removes runs of parts, half of them first, then ever shorter runs. */
async function smallestModel(
  bytes: Uint8Array,
  trials: Trials,
): Promise<{ bytes: Uint8Array; nodes: number }> {
  let model = readable(bytes);
  if (model?.graph === undefined || !(await trials.failsBytes(toBinary(ModelProtoSchema, model)))) {
    return { bytes, nodes: model?.graph?.node.length ?? 0 };
  }
  for (const part of parts) {
    for (let run = length(model, part); run >= 1; run = run >> 1) {
      for (let start = 0; start < length(model, part); ) {
        const smaller = without(model, part, start, run);
        if (await trials.failsBytes(toBinary(ModelProtoSchema, smaller))) model = smaller;
        else start += run;
      }
    }
  }
  return { bytes: toBinary(ModelProtoSchema, model), nodes: length(model, "node") };
}

function readable(bytes: Uint8Array): ModelProto | undefined {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch {
    return undefined;
  }
}

function listOf(graph: GraphProto | undefined, part: Part): unknown[] {
  return graph?.[part] ?? [];
}

const length = (model: ModelProto, part: Part): number => listOf(model.graph, part).length;

function without(model: ModelProto, part: Part, start: number, count: number): ModelProto {
  const copy = clone(ModelProtoSchema, model);
  listOf(copy.graph, part).splice(start, count);
  return copy;
}
