import type { InitializerMapping } from "../graph/mapping.js";
import type { Graph } from "../graph/types.js";
import type { ShrinkingRule, TrainingPlan } from "./plan.js";

/** A smaller network to go on training with; inputs, outputs and all parameters that are left keep their names. */
export interface SmallerNetwork {
  readonly graph: Graph;
  /** Which elements of which initializers of the network before are left. */
  readonly mapping: InitializerMapping;
}

/**
 * Makes a network with its present parameters smaller where it computes the same in training afterwards; undefined
 * if that cannot be done or is not worth it. Depends on nothing but its arguments.
 */
export type Shrinker = (
  network: Graph,
  options: ShrinkingRule & Pick<TrainingPlan, "batchNormalization">,
) => SmallerNetwork | undefined;

/** A plan for what is left of its network. */
export function planFor(network: Graph, plan: TrainingPlan): TrainingPlan {
  const isLeft = (name: string): boolean => network.initializers.has(name);
  return {
    ...plan,
    sparse: plan.sparse.filter(isLeft),
    phases: plan.phases.map(({ name, trained }) => ({
      name,
      trained: Object.fromEntries(Object.entries(trained).filter(([parameter]) => isLeft(parameter))),
    })),
  };
}
