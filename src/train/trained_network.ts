import type { ModelImageDims } from "../data/preprocessing.js";
import { readModel } from "../files/model_files.js";
import { PenniError } from "../graph/errors.js";
import { type InitializerMapping, keptElements } from "../graph/mapping.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { countGraph } from "../measure/count.js";
import { decodeModel } from "../onnx/read.js";
import { encodeModel } from "../onnx/write.js";
import { stateProblem } from "./divergence.js";
import { fractionLeft, type Pruner } from "./gradual_pruning.js";
import type { TrainingPlan } from "./plan.js";
import { planFor, type Shrinker } from "./shrinking.js";
import { Workbench } from "./workbench.js";

/** What stays the same however small the network becomes. */
export interface TrainingBasis {
  readonly plan: TrainingPlan;
  readonly imageDims: ModelImageDims;
  readonly shrinker: Shrinker | undefined;
  readonly pruner: Pruner | undefined;
}

/** What is loaded of one network. */
interface Loaded {
  readonly workbench: Workbench;
  /** Executed multiply-accumulates of one image. */
  readonly macs: number;
  /** The network as an ONNX file if it has shrunk; undefined if it is the plan's own. */
  readonly shrunk: Uint8Array | undefined;
}

/** How a network became smaller. */
export interface Shrinkage {
  readonly mapping: InitializerMapping;
  /** Executed multiply-accumulates of one image. */
  readonly before: number;
  readonly after: number;
}

/** The network that a stage trains, which becomes smaller while it is trained. */
export class TrainedNetwork {
  private constructor(
    private readonly basis: TrainingBasis,
    /** Elements that the plan's sparse parameters had before anything was removed. */
    private readonly sparseElements: number,
    private loaded: Loaded,
  ) {}

  /**
   * Loads the plan's network, or the smaller one that it has become.
   * @param shrunk the `shrunk` of a network before
   * @throws PenniError what `Workbench.open` throws
   */
  static async open(basis: TrainingBasis, shrunk?: Uint8Array): Promise<TrainedNetwork> {
    const { plan } = basis;
    const elements = countElements(await readModel(plan.network), new Set(plan.sparse));
    return new TrainedNetwork(basis, elements, await load(basis, shrunk));
  }

  get workbench(): Workbench {
    return this.loaded.workbench;
  }

  /** Executed multiply-accumulates of one image. */
  get macs(): number {
    return this.loaded.macs;
  }

  /** What `open` and `goTo` need to come back to the network of now; undefined as long as nothing was removed. */
  get shrunk(): Uint8Array | undefined {
    return this.loaded.shrunk;
  }

  /** The network with its present parameters, its batch as in the plan's file. */
  async present(): Promise<Graph> {
    return this.workbench.applyTo(await readNetwork(this.basis.plan, this.shrunk));
  }

  /** Loads another network, unless it is the present one; the state is to be restored afterwards. */
  async goTo(shrunk: Uint8Array | undefined): Promise<void> {
    if (isSame(shrunk, this.shrunk)) return;
    await this.release();
    this.loaded = await load(this.basis, shrunk);
  }

  /**
   * Goes on with a smaller network if the plan asks for it and it is worth it; parameters, momentum and running
   * statistics are kept. Where the phase holds zeros, the zeros of now are held from here on.
   * @returns what is left of which parameters, and multiply-accumulates of one image before and after; undefined if the
   *   network stays as it is
   */
  async shrink(): Promise<Shrinkage | undefined> {
    const { plan, shrinker } = this.basis;
    if (plan.shrinking === undefined) return undefined;
    if (shrinker === undefined)
      throw new PenniError("internal", "the plan shrinks, but there is no shrinker");
    // Whether the state is any good shows in the loss of the next step; nothing can be told from one like this.
    if (stateProblem(await this.workbench.snapshot()) !== undefined) return undefined;
    const { batchNormalization } = plan;
    const smaller = shrinker(await this.present(), { ...plan.shrinking, batchNormalization });
    if (smaller === undefined) return undefined;
    const before = this.macs;
    const velocities = carried(smaller.mapping, await this.workbench.velocities());
    // By way of the file, as when the stage is resumed.
    await this.goTo(encodeModel(smaller.graph));
    this.workbench.setVelocities(velocities);
    return { mapping: smaller.mapping, before, after: this.macs };
  }

  /** Sets the least coefficients to zero, as the plan asks for when a share of its steps is done, 0 to 1. */
  async prune(progress: number): Promise<void> {
    const { plan, pruner } = this.basis;
    if (plan.pruning === undefined) return;
    if (pruner === undefined) throw new PenniError("internal", "the plan prunes, but there is no pruner");
    // As for shrinking: the next step's loss tells.
    if (stateProblem(await this.workbench.snapshot()) !== undefined) return;
    const network = await this.present();
    const parameters = plan.sparse.filter((name) => network.initializers.has(name));
    const { originalMacs } = plan.pruning;
    const fraction = fractionLeft(plan.pruning, progress);
    this.workbench.replace(pruner(network, { fraction, originalMacs, parameters }));
  }

  /** Share of exact zeros among the plan's sparse parameters, 0 to 1; what has been removed counts as zeros. */
  async sparsity(): Promise<number> {
    await this.workbench.read();
    return this.lastSparsity();
  }

  /** The same without waiting for a device: as of the last time the state was read from it. */
  lastSparsity(): number {
    const { sparseElements } = this;
    return sparseElements === 0 ? 0 : (sparseElements - this.workbench.nonZeros()) / sparseElements;
  }

  release(): Promise<void> {
    return this.workbench.release();
  }
}

function countElements({ initializers }: Graph, names: ReadonlySet<string>): number {
  let count = 0;
  for (const [name, { dims }] of initializers) if (names.has(name)) count += elementCount(dims);
  return count;
}

async function load({ plan, imageDims }: TrainingBasis, shrunk: Uint8Array | undefined): Promise<Loaded> {
  const network = fixBatch(await readNetwork(plan, shrunk), plan.batch);
  const macs = countGraph(network).executedMacs / plan.batch;
  const left = shrunk === undefined ? plan : planFor(network, plan);
  return { workbench: await Workbench.open(network, left, imageDims), macs, shrunk };
}

async function readNetwork(plan: TrainingPlan, shrunk: Uint8Array | undefined): Promise<Graph> {
  return shrunk === undefined ? readModel(plan.network) : decodeModel(shrunk);
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}

/** The momentum of what is left; what was not there before, or had none, gets none. */
function carried(
  mapping: InitializerMapping,
  velocities: ReadonlyMap<string, Float32Array>,
): Map<string, Float32Array> {
  return new Map(
    [...mapping].flatMap(([name, origin]) => {
      const velocity = velocities.get(origin.source);
      return velocity === undefined ? [] : [[name, keptElements(origin, velocity)] as const];
    }),
  );
}
