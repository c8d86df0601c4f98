import { toOrtTensor } from "../execute/engine.js";
import { at } from "../graph/at.js";
import { pushTo } from "../graph/push_to.js";
import type { Graph, Tensor, ValueInfo } from "../graph/types.js";
import { namesRead } from "../graph/verify.js";
import { NormalizedSquares } from "./normalized_squares.js";
import type { SettledValues } from "./settled_values.js";

/** One output's values, batch by batch: float32. */
type Outputs = ReadonlyMap<string, readonly Float32Array[]>;

/** How far a network's outputs move when some of its weights are replaced. */
export class OutputProbe {
  private constructor(
    private readonly network: Graph,
    private readonly values: SettledValues,
    private readonly batches: number,
    private readonly reference: Outputs,
  ) {}

  /**
   * @param network with the batch of the images
   * @param batches how many of the batches of images are looked at, from the first
   */
  static async open(network: Graph, values: SettledValues, batches: number): Promise<OutputProbe> {
    const reference = await outputsOf(network, values, batches, [new Map()]);
    return new OutputProbe(network, values, batches, at(reference, 0));
  }

  /**
   * For each of some replacements of the same weights the mean squared change of the outputs, each relative to its
   * variance; averaged over the outputs. 0 where nothing changes, 1 where the outputs are no better than their mean.
   * Nothing before the settled values may be replaced. What is shown to people are errors of another unit: see
   * `OutputAgreement`.
   */
  async errors(replacements: readonly ReadonlyMap<string, Tensor>[]): Promise<readonly number[]> {
    const found = await outputsOf(this.network, this.values, this.batches, replacements);
    return found.map((outputs) => {
      const errors = [...this.reference].map(([name, wanted]) => {
        const change = new NormalizedSquares();
        wanted.forEach((original, batch) => {
          // What cannot be reached from the settled values stays as it was.
          change.add(original, outputs.get(name)?.[batch] ?? original);
        });
        return change.result;
      });
      return errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length);
    });
  }
}

/** The outputs for each of some replacements of the same weights, which are inputs of one session. */
async function outputsOf(
  network: Graph,
  values: SettledValues,
  batches: number,
  replacements: readonly ReadonlyMap<string, Tensor>[],
): Promise<readonly Outputs[]> {
  if (replacements.length === 0) return [];
  const first = at(replacements, 0);
  const outputs = network.outputs.filter(isReached(network, [...first.keys()]));
  if (outputs.length === 0) return replacements.map(() => new Map());
  const opened = [...first].map(([name, { type, dims }]): ValueInfo => {
    return { name, type: { elementType: type, shape: dims } };
  });
  const initializers = new Map([...network.initializers].filter(([name]) => !first.has(name)));
  const found = replacements.map(() => new Map<string, Float32Array[]>());
  const variants = replacements.map((replaced) =>
    Object.fromEntries([...replaced].map(([name, tensor]) => [name, toOrtTensor(tensor)] as const)),
  );
  await values.run(
    { ...network, inputs: [...network.inputs, ...opened], initializers, outputs },
    variants,
    (results, _, variant) => {
      for (const [name, { data }] of Object.entries(results)) {
        // Integers (classes, indices) do not move little by little.
        if (!(data instanceof Float32Array)) continue;
        pushTo(at(found, variant), name, data);
      }
    },
    batches,
  );
  return found;
}

/** Whether a value depends on one of some weights; with none given, every value counts. */
function isReached(network: Graph, weights: readonly string[]): (value: ValueInfo) => boolean {
  if (weights.length === 0) return () => true;
  const reached = new Set(weights);
  for (const node of network.nodes) {
    if (namesRead(node).some((name) => reached.has(name))) for (const name of node.outputs) reached.add(name);
  }
  return ({ name }) => reached.has(name);
}
