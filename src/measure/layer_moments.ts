import { Tensor as OrtTensor } from "onnxruntime-common";
import { Random } from "../data/random.js";
import type { Feeds } from "../execute/engine.js";
import { dims4, inputOf, present } from "../graph/at.js";
import { int } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import type { Graph, Node, ValueInfo, ValueType } from "../graph/types.js";
import { standardOpset } from "../ops/core/definition.js";
import { matMul, mul, reduceMean, reduceSum, reshape, sub, transpose } from "../ops/core/emit.js";
import { convGeometry } from "../ops/families/conv_geometry.js";
import type { ConvGeometry } from "../ops/families/conv_gradient.js";
import { TypedBuilder } from "../ops/inference/builder.js";
import { centredMoments, type LayerMoments, type MomentsRequest } from "./moments.js";
import { samplePositions } from "./sampled_columns.js";
import type { SettledValues } from "./settled_values.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/**
 * How many samples a layer's moments are made of. An image gives one for each output position, and neighbours say
 * nearly the same: 512 images of CIFAR-10 give the first layers of ResNet-20 524,288 of 144 columns.
 */
export interface SampleSize {
  /** However few columns there are. */
  readonly most: number;
  /** Samples times columns, over all groups: what it costs to gather them. */
  readonly elements: number;
  /** For each column, however many elements that takes. */
  readonly perColumn: number;
}

/** As many as may be, but never fewer than the columns need. */
export function sampleCount(
  { most, elements, perColumn }: SampleSize,
  columns: number,
  groups: number,
): number {
  return Math.ceil(Math.max(perColumn * columns, Math.min(most, elements / (columns * groups))));
}

/** What separates the random numbers of positions from others. */
const POSITION_STREAM = 4;

/**
 * Second moments of the columns of each layer together with its wanted outputs, for each of its groups, over sampled
 * output positions: the same ones in the images of a batch, others in each batch. All sums are made in the runtime, as
 * one product per layer and batch.
 * @param network with the batch of the images, computing every value that is asked for
 * @param types of the network's values
 * @param images how many there are in all
 */
export async function collectMoments(
  network: Graph,
  types: ReadonlyMap<string, ValueType>,
  requests: readonly MomentsRequest[],
  values: SettledValues,
  images: number,
  samples: SampleSize,
): Promise<readonly (readonly LayerMoments[])[]> {
  const b = new TypedBuilder(standardOpset(network), types.keys());
  for (const [name, type] of types) b.declare(name, type);
  const sums = requests.map((request, index) => new MomentSums(b, request, index, images, samples));
  const outputs = sums.flatMap(({ outputs }) => outputs);
  const measured: Graph = {
    ...network,
    inputs: [...network.inputs, ...sums.flatMap(({ inputs }) => inputs)],
    nodes: [...network.nodes, ...b.nodes],
    initializers: new Map([...network.initializers, ...b.initializers]),
    outputs: outputs.map((name) => ({ name, type: b.types.get(name) })),
    valueInfo: new Map(),
  };
  const feeds = (batch: number): Feeds => Object.assign({}, ...sums.map((sum) => sum.feeds(batch)));
  await values.run(measured, feeds, (results) => {
    for (const sum of sums) sum.add(results);
  });
  return sums.map((sum) => sum.moments());
}

/** The values through which a layer's positions come in and its sums come out. */
interface EmittedSums {
  readonly inputs: readonly ValueInfo[];
  /** Sums of x x', y x' and y^2 about the batch's means; the means of x and y. */
  readonly outputs: Readonly<Record<"gram" | "cross" | "spread" | "meanX" | "meanY", string>>;
}

/** Adds the sums of a layer over `count` positions of each image of a batch. */
function emitSums(
  b: TypedBuilder,
  geometry: ConvGeometry,
  { input, target }: MomentsRequest,
  count: number,
): EmittedSums {
  const { batch, groups, inputChannels, outputChannels, kernel } = geometry;
  const taps = kernel[0] * kernel[1];
  const declare = (stem: string, elementType: "int32" | "float32", length: number): string =>
    b.declare(b.freshName(`penni.${stem}`), { elementType, shape: [length] });
  const positions = declare("positions", "int32", count);
  const sources = declare("sources", "int32", taps * count);
  const inside = geometry.pads.some((pad) => pad > 0) ? [declare("inside", "float32", taps * count)] : [];
  const pick = (value: string, indices: string): string => {
    const [, channels, height, width] = dims4(b.dims(value));
    const flat = reshape(b, value, [batch, channels, height * width]);
    return b.emit("Gather", [flat, indices], { attributes: { axis: int(2) } });
  };
  /** [batch, groups * perGroup * count] as [groups, perGroup, batch * count]. */
  const rows = (value: string, perGroup: number): string => {
    const grouped = reshape(b, value, [batch, groups, perGroup, count]);
    return reshape(b, transpose(b, grouped, [1, 2, 0, 3]), [groups, perGroup, batch * count]);
  };
  const read = inside.reduce((value, mask) => mul(b, value, mask), pick(input, sources));
  const x = rows(read, (inputChannels / groups) * taps);
  const y = rows(pick(target, positions), outputChannels / groups);
  // About the batch's own means: single precision would lose the variance of what hardly varies.
  const [meanX, meanY] = [reduceMean(b, x, [2], true), reduceMean(b, y, [2], true)];
  const [centredX, centredY] = [sub(b, x, meanX), sub(b, y, meanY)];
  const across = transpose(b, centredX, [0, 2, 1]);
  const spread = reduceSum(b, mul(b, centredY, centredY), [2], false);
  return {
    inputs: [positions, sources, ...inside].map((name) => ({ name, type: b.types.get(name) })),
    outputs: {
      gram: matMul(b, centredX, across),
      cross: matMul(b, centredY, across),
      spread,
      meanX,
      meanY,
    },
  };
}

/** The sums of one layer, over all batches so far, in float64. */
class MomentSums {
  private readonly emitted: EmittedSums;
  private readonly conv: Node;
  private readonly geometry: ConvGeometry;
  private readonly columns: number;
  private readonly size: number;
  /** Positions of each image. */
  private readonly positions: number;
  private readonly squareSums: Float64Array;
  private readonly spreadSums: Float64Array;
  private readonly batchMeans: Float64Array[] = [];

  constructor(
    b: TypedBuilder,
    request: MomentsRequest,
    private readonly index: number,
    images: number,
    samples: SampleSize,
  ) {
    const { conv, input, target } = request;
    const geometry = convGeometry(conv, b.dims(input), b.dims(inputOf(conv, 1)));
    const { groups, inputChannels, outputChannels, kernel, output } = geometry;
    if (b.dims(target)[1] !== outputChannels)
      throw new PenniError("internal", "a layer's target has other channels", { op: conv.op });
    this.conv = conv;
    this.geometry = geometry;
    this.columns = (inputChannels / groups) * kernel[0] * kernel[1];
    this.size = this.columns + outputChannels / groups;
    const wanted = Math.ceil(sampleCount(samples, this.columns, groups) / images);
    this.positions = Math.min(output[0] * output[1], wanted);
    this.emitted = emitSums(b, geometry, request, this.positions);
    this.squareSums = new Float64Array(groups * this.size * this.columns);
    this.spreadSums = new Float64Array(outputChannels);
  }

  get inputs(): readonly ValueInfo[] {
    return this.emitted.inputs;
  }

  get outputs(): readonly string[] {
    return Object.values(this.emitted.outputs);
  }

  feeds(batch: number): Feeds {
    const random = new Random(POSITION_STREAM, this.index, batch);
    const { outputs, inputs, inside } = samplePositions(this.geometry, this.positions, random);
    const tensors = [
      new OrtTensor("int32", outputs, [outputs.length]),
      new OrtTensor("int32", inputs, [inputs.length]),
      new OrtTensor("float32", inside, [inside.length]),
    ];
    const feeds = this.inputs.flatMap(({ name }, at) => {
      const tensor = tensors[at];
      return tensor === undefined ? [] : [[name, tensor] as const];
    });
    return Object.fromEntries(feeds);
  }

  add(results: Feeds): void {
    const { columns, size } = this;
    const outputs = size - columns;
    const { groups } = this.geometry;
    const { outputs: names } = this.emitted;
    const of = (name: keyof EmittedSums["outputs"]): Float32Array => floatsOf(results, names[name]);
    const spread = of("spread");
    const means = new Float64Array(groups * size);
    for (let group = 0; group < groups; group++) {
      const from = group * size * columns;
      addTo(this.squareSums, from, of("gram"), group * columns * columns, columns * columns);
      addTo(
        this.squareSums,
        from + columns * columns,
        of("cross"),
        group * outputs * columns,
        outputs * columns,
      );
      addTo(means, group * size, of("meanX"), group * columns, columns);
      addTo(means, group * size + columns, of("meanY"), group * outputs, outputs);
    }
    addTo(this.spreadSums, 0, spread, 0, spread.length);
    this.batchMeans.push(means);
  }

  /** @throws PenniError "bad-data" where values overflow: no layer can be fitted to them */
  moments(): readonly LayerMoments[] {
    const { size, columns, geometry } = this;
    if (!this.squareSums.every(Number.isFinite) || !this.spreadSums.every(Number.isFinite))
      throw notFinite(this.conv);
    const outputs = size - columns;
    return Array.from({ length: geometry.groups }, (_, group) =>
      centredMoments({
        squares: this.squareSums.subarray(group * size * columns, (group + 1) * size * columns),
        spreads: this.spreadSums.subarray(group * outputs, (group + 1) * outputs),
        batchMeans: this.batchMeans.map((means) => means.subarray(group * size, (group + 1) * size)),
        rowsPerBatch: geometry.batch * this.positions,
        n: columns,
      }),
    );
  }
}

function notFinite({ name, op }: Node): PenniError {
  return new PenniError("bad-data", "what goes in or comes out is not finite on some images", {
    node: name,
    op,
    expected: "numbers of single precision whose squares can be summed",
    found: "infinity, or no number",
    advice: "Check that the images are prepared as the network wants them (--scale, --mean, --std)",
  });
}

function floatsOf(results: Feeds, name: string): Float32Array {
  const data = results[name]?.data;
  if (data instanceof Float32Array) return data;
  throw new PenniError("internal", "the runtime gave no sums of a layer");
}

function addTo(sums: Float64Array, to: number, values: Float32Array, from: number, count: number): void {
  for (let index = 0; index < count; index++)
    sums[to + index] = read(sums[to + index]) + read(values[from + index]);
}
