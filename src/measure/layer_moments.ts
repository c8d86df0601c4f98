import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Batch } from "../data/batches.js";
import { openSession } from "../execute/node.js";
import { int } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import type { Graph } from "../graph/types.js";
import { TypedBuilder } from "../ops/builder.js";
import { convGeometry } from "../ops/conv.js";
import { extractPatches } from "../ops/conv_gradient.js";
import { standardOpset } from "../ops/definition.js";
import { matMul, reduceMean, reshape, sub, transpose } from "../ops/emit.js";
import { inferGraph } from "../ops/infer.js";
import { centredMoments, type LayerMoments, type MomentsRequest } from "./moments.js";

/** Images for `collectMoments`: whole batches only. */
export interface CalibrationImages {
  readonly batches: Iterable<Batch>;
  readonly dims: readonly [channels: number, height: number, width: number];
}

/**
 * Second moments of the columns of each layer (by im2col) together with its wanted outputs, for each of its groups.
 * All sums over images and positions are made in the runtime, as one product per layer and batch.
 * @param network with a static batch, computing every value that is asked for
 */
export async function collectMoments(
  network: Graph,
  requests: readonly MomentsRequest[],
  images: CalibrationImages,
  threads: number,
): Promise<readonly (readonly LayerMoments[])[]> {
  const [input] = network.inputs;
  if (input === undefined) throw new PenniError("bad-model", "the network has no input");
  const { types } = inferGraph(network);
  const b = new TypedBuilder(standardOpset(network), types.keys());
  for (const [name, type] of types) b.declare(name, type);
  const sums = requests.map((request) => new MomentSums(b, request));
  const outputs = sums.flatMap(({ squares, means }) => [squares, means]);
  const measured: Graph = removeDeadNodes({
    ...network,
    nodes: [...network.nodes, ...b.nodes],
    initializers: new Map([...network.initializers, ...b.initializers]),
    outputs: outputs.map((name) => ({ name, type: b.types.get(name) })),
    valueInfo: new Map(),
  });
  const session = await openSession(measured, { threads });
  try {
    for (const batch of images.batches) {
      const dims = [
        batch.images.length / images.dims.reduce((product, dim) => product * dim, 1),
        ...images.dims,
      ];
      const results = await session.run({ [input.name]: new OrtTensor("float32", batch.images, dims) });
      for (const sum of sums) sum.add(results);
    }
  } finally {
    await session.release();
  }
  return sums.map((sum) => sum.moments());
}

/** The sums of one layer, over all batches so far, in float64. */
class MomentSums {
  readonly squares: string;
  readonly means: string;
  private readonly groups: number;
  private readonly columns: number;
  private readonly size: number;
  private readonly rowsPerBatch: number;
  private readonly squareSums: Float64Array;
  private readonly batchMeans: Float64Array[] = [];

  constructor(b: TypedBuilder, { conv, input, target }: MomentsRequest) {
    const x = b.dims(input);
    const y = b.dims(target);
    const geometry = convGeometry(conv, x, b.dims(conv.inputs[1] ?? ""));
    const { batch, groups, inputChannels, outputChannels, kernel, output } = geometry;
    this.groups = groups;
    this.columns = (inputChannels / groups) * kernel[0] * kernel[1];
    this.size = this.columns + outputChannels / groups;
    this.rowsPerBatch = batch * output[0] * output[1];
    if (y[1] !== outputChannels)
      throw new PenniError("internal", "a layer's target has other channels", { op: conv.op });
    const rows = (value: string, perGroup: number): string => {
      const grouped = reshape(b, value, [batch, groups, perGroup, output[0] * output[1]]);
      return reshape(b, transpose(b, grouped, [1, 2, 0, 3]), [groups, perGroup, this.rowsPerBatch]);
    };
    const patches = rows(extractPatches(b, geometry, input), this.columns);
    const wanted = rows(target, outputChannels / groups);
    const z = b.emit("Concat", [patches, wanted], { attributes: { axis: int(1) } });
    // About the batch's own means: single precision would lose the variance of what hardly varies.
    const mean = reduceMean(b, z, [2], true);
    const centred = sub(b, z, mean);
    this.squares = matMul(b, centred, transpose(b, centred, [0, 2, 1]));
    this.means = mean;
    this.squareSums = new Float64Array(groups * this.size * this.size);
  }

  add(results: Readonly<Record<string, OrtTensor>>): void {
    accumulate(this.squareSums, results[this.squares]?.data as Float32Array);
    this.batchMeans.push(Float64Array.from(results[this.means]?.data as Float32Array));
  }

  moments(): readonly LayerMoments[] {
    const { size, columns } = this;
    return Array.from({ length: this.groups }, (_, group) =>
      centredMoments(
        this.squareSums.subarray(group * size * size, (group + 1) * size * size),
        this.batchMeans.map((means) => means.subarray(group * size, (group + 1) * size)),
        this.rowsPerBatch,
        columns,
      ),
    );
  }
}

function accumulate(sums: Float64Array, values: Float32Array): void {
  for (let index = 0; index < sums.length; index++) sums[index] = (sums[index] ?? 0) + (values[index] ?? 0);
}
