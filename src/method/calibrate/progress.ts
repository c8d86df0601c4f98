import { at, countOf, orDefault } from "../../graph/at.js";
import type { Graph, Node } from "../../graph/types.js";
import { isOnBasis } from "./candidates.js";
import { isWide } from "./fit.js";
import type { CalibrationLayer } from "./layers.js";
import { type PresentForm, waysToCompute } from "./ways.js";

/** What one layer is expected to cost, in seconds on a usual processor; only their ratios are relied on. */
export interface LayerWork {
  /** Statistics, each way to compute it, and the comparison of outputs; empty where nothing is analysed. */
  readonly analyse: readonly number[];
  /** Statistics, a basis and the order of removal, and what stays. */
  readonly fit: readonly number[];
}

/** What the work on a layer depends on. */
export interface LayerExtent {
  readonly layer: Pick<CalibrationLayer, "K" | "C" | "R" | "S" | "groups">;
  /** Multiply-accumulates for one image of its convolutions, and of all nodes after the first of them. */
  readonly macs: number;
  readonly following: number;
  /** Every way to compute it that is looked at. */
  readonly ways: readonly WorkWay[];
}

/** A way to compute a layer: weights have the d of a single tap. */
export interface WorkWay {
  readonly onBasis: boolean;
  readonly d: number;
}

/** Images that statistics are made from, and that outputs are compared on. */
export interface WorkImages {
  readonly all: number;
  readonly compared: number;
}

/** Multiply-accumulates a second: of networks and products by the runtime, which has two threads, and of loops here. */
const RATES = { network: 6e10, product: 5e10, loop: 1e9 };
/** Seconds for opening the sessions that a layer takes. */
const OVERHEAD = 0.15;
/** Samples of a layer's statistics (see `SampleSize`). */
const SAMPLES = { most: 2 ** 17, elements: 2 ** 25, perColumn: 8 };
/** Outputs of a group that are looked at in the analysis. */
const ANALYSED_OUTPUTS = 64;
/** Rounds of alternating least squares that a layer takes as a rule. */
const ROUNDS = { exact: 5, wide: 3 };
/** Products of all coefficients with the Gram matrix, for each basis, for the order of removal, and for what stays. */
const PRODUCTS = { round: 10, removal: 150, sparse: 25 };
/** Loops over all coefficients that go with such a product, as multiply-accumulates. */
const LOOPS = 12;

/** A group of a layer, and how it is solved. */
interface Solving {
  readonly taps: number;
  readonly channels: number;
  readonly columns: number;
  readonly outputs: number;
}

/** Seconds for a basis with all coefficients and the order in which they go, and for what stays. */
function solvingWork({ taps, channels, columns, outputs }: Solving): {
  readonly order: number;
  readonly sparse: number;
} {
  const pairs = taps > 1 ? (channels * taps * columns) / 2 : 0;
  const wide = isWide(columns, outputs);
  const rounds = taps > 1 ? ROUNDS[wide ? "wide" : "exact"] : 0;
  if (wide) {
    const product = (outputs * columns ** 2) / RATES.product + (LOOPS * outputs * columns) / RATES.loop;
    const basis = (outputs * columns ** 2 + columns ** 2 * taps ** 2) / RATES.product;
    const round = PRODUCTS.round * product + basis + pairs / RATES.product;
    return {
      order: round * (1 + rounds) + PRODUCTS.removal * product,
      sparse: PRODUCTS.sparse * product + round * rounds,
    };
  }
  const basis = (columns ** 2 * (taps ** 2 + outputs)) / 2;
  const dense = columns ** 3 / 6 + outputs * columns ** 2;
  const one = (outputs * (columns / 2) ** 3) / 6;
  return {
    order: ((1 + rounds) * (dense + pairs) + rounds * basis + (outputs * columns ** 3) / 3) / RATES.loop,
    sparse: ((1 + rounds) * (one + pairs) + rounds * basis) / RATES.loop,
  };
}

/** What a layer will cost, from how the parts of its work grow. */
export function layerWork({ layer, macs, following, ways }: LayerExtent, images: WorkImages): LayerWork {
  const { K, C, R, S, groups } = layer;
  const n = C * R * S;
  const outputs = K / groups;
  const pass = (macs * images.all) / RATES.network;
  const wanted = Math.max(SAMPLES.perColumn * n, Math.min(SAMPLES.most, SAMPLES.elements / (groups * n)));
  const samples = Math.min(wanted, (images.all * macs) / (K * n));
  const statistics = OVERHEAD + (groups * samples * n * (n + outputs)) / RATES.product;
  const solving = (way: WorkWay, count: number): ReturnType<typeof solvingWork> => {
    const taps = way.onBasis ? R * S : 1;
    const group = { taps, channels: n / taps, columns: (n / taps) * way.d, outputs: count };
    const { order, sparse } = solvingWork(group);
    return { order: groups * order, sparse: groups * sparse };
  };
  const middle = ways[Math.floor(ways.length / 2)];
  if (middle === undefined) return { analyse: [], fit: [3 * pass + statistics] };
  const whole = solving(middle, outputs);
  const compared = OVERHEAD + (2 * images.compared * following) / RATES.network;
  const candidates = ways.map((way) => solving(way, Math.min(outputs, ANALYSED_OUTPUTS)).order);
  return {
    analyse: [2 * pass + statistics, ...candidates, compared],
    fit: [3 * pass + statistics, whole.order, whole.sparse],
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
  const macsOf = (node: Node): number => countOf(macs, node.outputs[0]);
  const costs = graph.nodes.map(macsOf);
  return layers.map(({ layer, present }) => {
    const own = layer.convs.reduce((sum, conv) => sum + macsOf(conv), 0);
    const position = graph.nodes.findIndex((node) => layer.convs.includes(node));
    const following = costs.slice(position).reduce((sum, cost) => sum + cost, 0);
    const ways = waysToCompute(layer, present, basis).filter(({ form }) => form !== "kept");
    const looked = ways.map(({ form, d }) => ({ onBasis: isOnBasis(form), d }));
    return layerWork({ layer, macs: own, following, ways: looked }, images);
  });
}

/** How far a calibration is, and how long the rest will take: what is left is taken to go as fast as what was timed. */
export class WorkMeter {
  private done = 0;
  private timed = 0;
  private seconds = 0;
  /** The step that is being timed: when it began, and which of its parts are done. */
  private current: { readonly started: number; readonly work: number } | undefined;
  private readonly total: number;

  constructor(
    private readonly layers: readonly LayerWork[],
    private readonly now: () => number = () => performance.now() / 1000,
  ) {
    this.total = layers.reduce((all, { analyse, fit }) => all + sum(analyse) + sum(fit), 0);
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
    return this.total > 0 ? (this.done + orDefault(this.current?.work, 0)) / this.total : 0;
  }

  /** Undefined until some work has been timed. */
  get secondsLeft(): number | undefined {
    const { started = this.now(), work = 0 } = this.current ?? {};
    const timed = this.timed + work;
    if (timed === 0) return undefined;
    return ((this.total - this.done - work) * (this.seconds + this.now() - started)) / timed;
  }

  /**
   * Does a step of a layer and times it; not called for what a journal has.
   * @param work calls what it is given after each part of the step
   */
  async time<Result>(
    step: keyof LayerWork,
    index: number,
    work: (advance: () => void) => Promise<Result>,
  ): Promise<Result> {
    const parts = at(this.layers, index)[step];
    const started = this.now();
    let part = 0;
    this.current = { started, work: 0 };
    const result = await work(() => {
      part += 1;
      this.current = { started, work: sum(parts.slice(0, part)) };
    });
    this.current = undefined;
    this.seconds += this.now() - started;
    this.timed += sum(parts);
    return result;
  }

  /** A step of a layer is done, now or before. */
  finish(step: keyof LayerWork, index: number): void {
    this.done += sum(at(this.layers, index)[step]);
  }
}

function sum(parts: readonly number[]): number {
  return parts.reduce((all, part) => all + part, 0);
}
