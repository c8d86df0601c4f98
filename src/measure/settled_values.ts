import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Feeds } from "../execute/engine.js";
import { at, orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import type { Graph, ValueInfo, ValueType } from "../graph/types.js";
import { namesRead } from "../graph/verify.js";
import { type Fed, runNetwork } from "./run_on_images.js";

/** The images of a calibration, in whole batches of one size, as often as they are asked for. */
export interface ImageBatches {
  /** Number of batches. */
  readonly count: number;
  /** Images in each. */
  readonly size: number;
  /** Of one image, as the network takes it. */
  readonly dims: readonly [number, number, number];
  /** The batches from the first on. The pixels are valid until the next one is asked for. */
  readonly pixels: () => Iterable<Float32Array>;
}

/** What one batch gave with one of the sets of extra inputs, by value name. */
export type BatchVisitor = (results: Feeds, batch: number, variant: number) => void;

/**
 * Runs parts of networks on all images. Values that have been settled are kept in memory, batch by batch, and whatever
 * is run afterwards starts from them instead of from the images.
 */
export class SettledValues {
  private types: ReadonlyMap<string, ValueType> = new Map();
  /** For each batch the values by name. */
  private batches: Feeds[] = [];

  constructor(
    private readonly images: ImageBatches,
    private readonly threads: number,
  ) {}

  /**
   * From now on these values, of a network with the images' batch, are taken as they are now. What was settled before
   * and is not named is forgotten.
   */
  async settle(
    network: Graph,
    types: ReadonlyMap<string, ValueType>,
    names: readonly string[],
  ): Promise<void> {
    const before = this.batches;
    const kept = names.filter((name) => this.types.has(name));
    const made = names.filter((name) => !this.types.has(name));
    const carry = (batch: number): Feeds =>
      Object.fromEntries(kept.flatMap((name) => [[name, tensorOf(at(before, batch), name)] as const]));
    const after: Feeds[] = [];
    if (made.length === 0) {
      for (let batch = 0; batch < before.length; batch++) after.push(carry(batch));
    } else {
      const outputs = made.map((name): ValueInfo => ({ name, type: types.get(name) }));
      await this.run({ ...network, outputs }, [{}], (results, batch) => {
        after[batch] = { ...carry(batch), ...results };
        before[batch] = {};
      });
    }
    this.types = new Map(names.map((name) => [name, typeOf(types, name)]));
    this.batches = names.length === 0 ? [] : after;
  }

  /**
   * Computes the outputs of a network for the first `most` batches (all).
   * @param network computes its outputs from the images, or from values that are settled and bear the same names
   * @param extra values of further inputs of the network: sets of them, one run for each, or what a batch takes
   */
  async run(
    network: Graph,
    extra: readonly Feeds[] | ((batch: number) => Feeds),
    visit: BatchVisitor,
    most = this.images.count,
  ): Promise<void> {
    const [input, ...others] = network.inputs;
    if (input === undefined) throw new PenniError("bad-model", "the network has no input");
    const part = remainingPart(network, input, others, this.types);
    const runs = this.runs(part, input.name, extra, Math.min(most, this.images.count));
    for await (const { results, batch, variant } of runNetwork(part, { threads: this.threads }, runs))
      visit(results, batch, variant);
  }

  /** What a part of a network is fed: for each batch what is settled, the images where it needs them, and the extras. */
  private *runs(
    part: Graph,
    input: string,
    extra: readonly Feeds[] | ((batch: number) => Feeds),
    most: number,
  ): Generator<Fed & { readonly batch: number; readonly variant: number }> {
    const given = new Set(part.inputs.map(({ name }) => name));
    const { size, dims } = this.images;
    for (const [batch, pixels] of this.pixelsFor(given.has(input), most)) {
      // There are no batches as long as nothing is settled.
      const known = orDefault(this.batches[batch], {});
      const settled = Object.entries(known).filter(([name]) => given.has(name));
      const feeds = {
        ...Object.fromEntries(settled),
        ...(pixels === undefined ? {} : { [input]: new OrtTensor("float32", pixels, [size, ...dims]) }),
      };
      const variants = typeof extra === "function" ? [extra(batch)] : extra;
      for (const [variant, own] of variants.entries()) yield { feeds: { ...feeds, ...own }, batch, variant };
    }
  }

  private *pixelsFor(needed: boolean, most: number): Generator<readonly [number, Float32Array | undefined]> {
    if (!needed) {
      for (let batch = 0; batch < most; batch++) yield [batch, undefined];
      return;
    }
    let batch = 0;
    for (const pixels of this.images.pixels()) {
      if (batch >= most) return;
      yield [batch++, pixels];
    }
  }
}

function tensorOf(values: Feeds, name: string): OrtTensor {
  const tensor = values[name];
  if (tensor === undefined) throw new PenniError("internal", `value "${name}" is not settled`);
  return tensor;
}

function typeOf(types: ReadonlyMap<string, ValueType>, name: string): ValueType {
  const type = types.get(name);
  if (type === undefined) throw new PenniError("internal", `value "${name}" has no known type`);
  return type;
}

/** What of a network has to run when some of its values are known; inputs are those that it needs. */
function remainingPart(
  network: Graph,
  images: ValueInfo,
  others: readonly ValueInfo[],
  known: ReadonlyMap<string, ValueType>,
): Graph {
  const needed = new Set(network.outputs.map(({ name }) => name));
  const nodes = network.nodes
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((name) => needed.has(name) && !known.has(name))) return false;
      for (const name of namesRead(node)) needed.add(name);
      return true;
    })
    .reverse();
  const settled = [...known].map(([name, type]): ValueInfo => ({ name, type }));
  return {
    ...network,
    inputs: [images, ...others, ...settled].filter(({ name }) => needed.has(name)),
    nodes,
    initializers: new Map([...network.initializers].filter(([name]) => needed.has(name))),
    valueInfo: new Map(),
  };
}
