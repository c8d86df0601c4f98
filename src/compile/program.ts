import type { ElementType } from "../graph/types.js";
import type { WeightsType } from "../graph/weights_type.js";
import type { Kernel, PointerType } from "./loops.js";

/** A stretch of memory while a program is put together: where it lies is decided at the end. */
export interface Buffer {
  readonly kind: "value" | "scratch" | "weights" | "prepared" | "input" | "output";
  readonly id: number;
  /** In elements of float32; in bytes for weights. */
  readonly size: number;
}

/** A place in a buffer. */
export interface Location {
  readonly buffer: Buffer;
  /** In elements of float32; weights of other types begin at multiples of it too. */
  readonly offset: number;
}

/** One call of a kernel. */
export interface Step {
  readonly kernel: Kernel;
  /** One for each of the kernel's parameters. */
  readonly arguments: readonly Location[];
  /** The node of the model that it belongs to. */
  readonly node: string;
  readonly op: string;
  /** Products that are really computed; 0 for what only moves or adds. */
  readonly multiplyAccumulates: number;
}

/** What the user hands in or gets back. */
export interface Port {
  readonly name: string;
  readonly dims: readonly number[];
  /** The model's type; the program itself computes in float32. */
  readonly elementType: ElementType;
  readonly buffer: Buffer;
}

/** How the elements of a constant stand for what a layer's weights are, so that they can be packed. */
export type WeightLayout =
  /** Weights of so many outputs, block by block of them: all first weights of the block's outputs, all second, and so on. */
  | { readonly kind: "blocks"; readonly outputs: number; readonly block: number }
  /** Weights output by output, as many of each as a constant of counts says. */
  | { readonly kind: "runs"; readonly counts: Location }
  /**
   * Output by output, distances between positions in planes, from 0 for the first: every input has a plane, and in each
   * plane positions are at the taps. Inputs are maps of channels, so many of each channel.
   */
  | {
      readonly kind: "steps";
      readonly counts: Location;
      readonly inputs: number;
      readonly maps: number;
      readonly plane: number;
      readonly taps: readonly number[];
    };

/** A constant among a program's weights. */
export interface ProgramConstant {
  /** In bytes. */
  readonly offset: number;
  readonly size: number;
  readonly type: PointerType;
  readonly layout: WeightLayout | undefined;
}

/** A compiled network before it is printed: calls in order, and the constants they read. */
export interface Program {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /**
   * Calls before the first run, once for all of them: they make of constants what runs read instead, in buffers of the
   * kind "prepared" that nobody else writes.
   */
  readonly preparation: readonly Step[];
  readonly steps: readonly Step[];
  /** Constants, each aligned to `WEIGHT_ALIGNMENT` bytes. */
  readonly weights: Uint8Array;
  /** Byte positions of weight buffers in `weights`, by buffer id. */
  readonly weightOffsets: ReadonlyMap<number, number>;
  readonly metadata: ReadonlyMap<string, string>;
  /** What the weights consist of, in their order; where it is not known, they are printed as they are. */
  readonly constants?: readonly ProgramConstant[];
  /** How the model held its weights, or was asked to; float32 where absent. */
  readonly weightsType?: WeightsType;
}

/** Enough for any vector load that a compiler may want to align. */
export const WEIGHT_ALIGNMENT = 16;
