import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Random } from "../../src/data/random.js";
import { ModelProtoSchema } from "../../src/onnx/gen/onnx_pb.js";
import { byteMutations } from "./bytes.js";
import { chance, pick } from "./draw.js";
import { nodeMutations } from "./hostile_nodes.js";
import type { SeedModel, Stock } from "./seed_models.js";
import { type StructureMutation, structureMutations } from "./structure.js";

/** One change to a model; its numbers are drawn from `key`, so that it is the same when others are left out. */
export interface Step {
  readonly mutation: string;
  readonly key: readonly number[];
}

/** How a broken model comes about. */
export interface Recipe {
  readonly model: SeedModel;
  readonly steps: readonly Step[];
}

const structural: Readonly<Record<string, StructureMutation>> = { ...structureMutations, ...nodeMutations };

/** Names of all mutations. */
export const mutationNames: readonly string[] = [...Object.keys(structural), ...Object.keys(byteMutations)];

const MOST_STRUCTURAL_STEPS = 3;

const SHARE_OF_REAL_MODELS = 0.04;

/** The recipe of case number `index`: the same for the same seed, number and models. */
export function drawRecipe(seed: number, index: number, { own, real }: Stock): Recipe {
  const random = new Random(seed, index);
  const steps: string[] = [];
  if (chance(random, 0.7)) {
    for (let count = 1 + random.below(MOST_STRUCTURAL_STEPS); count > 0; count -= 1) {
      steps.push(pick(random, Object.keys(chance(random, 0.6) ? structureMutations : nodeMutations)));
    }
  }
  if (steps.length === 0 || chance(random, 0.1)) steps.push(pick(random, Object.keys(byteMutations)));
  return {
    model: pick(random, real.length > 0 && chance(random, SHARE_OF_REAL_MODELS) ? real : own),
    steps: steps.map((mutation, step) => ({ mutation, key: [seed, index, step + 1] })),
  };
}

/** The bytes of a recipe's model: structural steps first, then those on bytes. */
export function cook({ model, steps }: Recipe): Uint8Array {
  const isStructural = ({ mutation }: Step): boolean => Object.hasOwn(structural, mutation);
  const mutated = restructure(model.bytes(), steps.filter(isStructural));
  return steps
    .filter((step) => !isStructural(step))
    .reduce(
      (bytes, { mutation, key }) => byteMutations[mutation]?.(new Random(...key), bytes) ?? bytes,
      mutated,
    );
}

function restructure(bytes: Uint8Array, steps: readonly Step[]): Uint8Array {
  if (steps.length === 0) return bytes;
  const model = fromBinary(ModelProtoSchema, bytes);
  for (const { mutation, key } of steps) {
    const { graph } = model;
    if (graph !== undefined) structural[mutation]?.(new Random(...key), { model, graph });
  }
  return toBinary(ModelProtoSchema, model);
}

/** A recipe in one line. */
export function describeRecipe({ model, steps }: Recipe): string {
  return `${model.name}: ${steps.map(({ mutation }) => mutation).join(", ") || "unchanged"}`;
}
