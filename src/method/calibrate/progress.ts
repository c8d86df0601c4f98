import type { Graph } from "../../graph/types.js";
import { isOnBasis } from "./candidates.js";
import type { CalibrationLayer } from "./layers.js";
import { type PresentForm, waysToCompute } from "./ways.js";

/** What one layer is expected to cost, in seconds on a usual processor; only their ratios are relied on. */
export interface LayerWork {
  readonly analyse: number;
  readonly fit: number;
}

/** What the work on a layer depends on. */
export interface LayerExtent {
  readonly layer: Pick<CalibrationLayer, "K" | "C" | "R" | "S" | "groups">;
  /** Multiply-accumulates for one image of its convolutions, and of all nodes after the first of them. */
  readonly macs: number;
  readonly following: number;
  /** Coefficients for each output, for every way to compute it that is looked at. */
  readonly columns: readonly number[];
}

/** Images that statistics are made from, and that outputs are compared on. */
export interface WorkImages {
  readonly all: number;
  readonly compared: number;
}

/** Multiply-accumulates a second: of networks, of products by the runtime, and of loops here. */
const RATES = { network: 3e10, product: 3e10, loop: 1.5e9 };
/** Seconds for opening the sessions that a layer takes. */
const OVERHEAD = 0.15;
/** Samples of a layer's statistics (see `SampleSize`). */
const SAMPLES = { most: 2 ** 17, elements: 2 ** 25, perColumn: 8 };
/** Outputs of a group that are looked at in the analysis. */
const ANALYSED_OUTPUTS = 64;
/** From so many columns on they are fitted by products, so many times each. */
const WIDE = { columns: 640, products: 180 };

/** What a layer will cost, from how the parts of its work grow. */
export function layerWork({ layer, macs, following, columns }: LayerExtent, images: WorkImages): LayerWork {
  const { K, C, R, S, groups } = layer;
  const n = C * R * S;
  const outputs = K / groups;
  const pass = (macs * images.all) / RATES.network;
  const samples = Math.max(SAMPLES.perColumn * n, Math.min(SAMPLES.most, SAMPLES.elements / (groups * n)));
  const moments = OVERHEAD + (groups * samples * n * (n + outputs)) / RATES.product;
  const solving = (count: number) => (wide: number) =>
    wide > WIDE.columns
      ? (WIDE.products * count * wide ** 2) / RATES.product
      : (groups * wide ** 3 * (1 + count / 4)) / RATES.loop;
  const fit = 3 * pass + moments;
  if (columns.length === 0) return { analyse: 0, fit };
  const candidates = columns.map(solving(Math.min(outputs, ANALYSED_OUTPUTS)));
  const compared = (2 * images.compared * following) / RATES.network;
  const chosen = columns[Math.floor(columns.length / 2)] ?? n;
  return {
    analyse: 2 * pass + moments + compared + candidates.reduce((sum, seconds) => sum + seconds, 0),
    fit: fit + solving(outputs)(chosen),
  };
}

/**
 * What every layer of a network will cost.
 * @param macs multiply-accumulates for one image, by the first output of the node
 * @param basis basis kernels of every layer, or "auto"
 */
export function expectedWork(
  graph: Graph,
  layers: readonly { readonly layer: CalibrationLayer; readonly present: PresentForm }[],
  macs: ReadonlyMap<string | undefined, number>,
  images: WorkImages,
  basis: number | "auto",
): readonly LayerWork[] {
  const costs = graph.nodes.map((node) => macs.get(node.outputs[0]) ?? 0);
  return layers.map(({ layer, present }) => {
    const own = layer.convs.reduce((sum, conv) => sum + (macs.get(conv.outputs[0]) ?? 0), 0);
    const position = graph.nodes.findIndex((node) => layer.convs.includes(node));
    const following = costs.slice(position).reduce((sum, cost) => sum + cost, 0);
    const ways = waysToCompute(layer, present, basis).filter(({ form }) => form !== "kept");
    const columns = ways.map(({ form, d }) => layer.C * (isOnBasis(form) ? d : layer.R * layer.S));
    return layerWork({ layer, macs: own, following, columns }, images);
  });
}

/** How far a calibration is, and how long the rest will take: what is left is taken to go as fast as what was timed. */
export class WorkMeter {
  private done = 0;
  private timed = 0;
  private seconds = 0;
  private readonly total: number;

  constructor(
    private readonly layers: readonly LayerWork[],
    private readonly now: () => number = () => performance.now() / 1000,
  ) {
    this.total = layers.reduce((sum, { analyse, fit }) => sum + analyse + fit, 0);
  }

  /** For going on from here more than once. */
  copy(): WorkMeter {
    return Object.assign(new WorkMeter(this.layers, this.now), {
      done: this.done,
      timed: this.timed,
      seconds: this.seconds,
    });
  }

  /** Work that is done, 0 to 1. */
  get share(): number {
    return this.total > 0 ? this.done / this.total : 0;
  }

  /** Undefined until some work has been timed. */
  get secondsLeft(): number | undefined {
    return this.timed > 0 ? (Math.max(0, this.total - this.done) * this.seconds) / this.timed : undefined;
  }

  /** Does a step of a layer and times it; not called for what a journal has. */
  async time<Result>(step: keyof LayerWork, index: number, work: () => Promise<Result>): Promise<Result> {
    const started = this.now();
    const result = await work();
    this.seconds += this.now() - started;
    this.timed += this.layers[index]?.[step] ?? 0;
    return result;
  }

  /** A step of a layer is done, now or before. */
  finish(step: keyof LayerWork, index: number): void {
    this.done += this.layers[index]?.[step] ?? 0;
  }
}
