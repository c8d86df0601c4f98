import type { Graph, Tensor } from "../../graph/types.js";
import type { LayerMoments, MomentsRequest } from "../../measure/moments.js";
import type { Factors } from "../basis.js";
import type { LayerOption } from "./allocation.js";
import type { MatrixAlgebra } from "./iterative_solver.js";
import type { CalibrationJournal } from "./journal.js";
import type { CalibrationLayer } from "./layers.js";
import type { WorkImages, WorkMeter } from "./progress.js";
import type { PresentForm } from "./ways.js";

/** What calibration needs of a runtime and of images. */
export interface CalibrationRuntime {
  /** For each request, for each group of the convolution. The network's batch is the runtime's to choose. */
  moments(network: Graph, requests: readonly MomentsRequest[]): Promise<readonly (readonly LayerMoments[])[]>;
  /**
   * For each of some replacements of the same initializers: how far the original's outputs move; 0 for none. Those
   * that settled values depend on may not be replaced.
   */
  outputErrors(replacements: readonly ReadonlyMap<string, Tensor>[]): Promise<readonly number[]>;
  /**
   * From now on these values are taken as this network computes them, under their names, by all networks: only what
   * comes after them is run. Those that were settled before and are not named no longer are.
   */
  settle(network: Graph, values: readonly string[]): Promise<void>;
  /** Float32 elements of settled values for each image that there is memory for. */
  readonly roomPerImage: number;
  /** How many images moments are made from, and how many errors of outputs. */
  readonly images: WorkImages;
  /** For layers too wide for exact solutions. */
  readonly algebra: MatrixAlgebra;
}

export interface CalibrationOptions {
  /** Basis kernels of every layer that can have so many; "auto" chooses for each layer, dense included. */
  readonly basis: number | "auto";
  /** Bases and coefficients that layers came with, by the names of their weights (see `mergeDecompositions`). */
  readonly factors?: ReadonlyMap<string, Factors>;
  readonly onProgress?: (progress: CalibrationProgress) => void;
  readonly signal?: AbortSignal;
  /** Of this network, these images and these options; without one, a calibration that is stopped starts again. */
  readonly journal?: CalibrationJournal;
}

export interface TargetedCalibration extends CalibrationOptions {
  /** Multiply-accumulates to reach (paper count), as a fraction of the original's; in (0, 1]. */
  readonly fraction: number;
}

export interface CalibrationProgress {
  readonly step: "analyse" | "fit";
  /** Layers done and to do in this step. */
  readonly done: number;
  readonly total: number;
  /** The layer that comes next. */
  readonly layer: string;
  /** Expected work that is done, over all steps; 0 to 1. */
  readonly share: number;
  /** Seconds that the rest will take; undefined as long as nothing has been timed. */
  readonly secondsLeft: number | undefined;
}

/** What became of a layer. */
export interface CalibratedLayer {
  readonly name: string;
  /** Basis kernels; 0 where the layer keeps its kernels. */
  readonly d: number;
  /** Coefficients (or weights) that are not zero, as a share of all. */
  readonly density: number;
  /** Multiply-accumulates (paper count) as a share of the layer's dense ones. */
  readonly macs: number;
}

export interface Calibration {
  readonly graph: Graph;
  readonly layers: readonly CalibratedLayer[];
}

/** What `analyseLayers` found. */
export interface CalibrationAnalysis {
  readonly layers: readonly AnalysedLayer[];
  /** Multiply-accumulates for one image (paper count) of what is in no layer. */
  readonly otherMacs: number;
  /** At the end of the analysis. */
  readonly meter: WorkMeter;
}

/** A layer with all ways to compute it. */
export interface AnalysedLayer {
  readonly layer: CalibrationLayer;
  readonly name: string;
  readonly denseMacs: number;
  readonly present: PresentForm;
  readonly options: readonly LayerOption[];
}
