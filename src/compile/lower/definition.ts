import type { Tensor } from "../../graph/types.js";
import type { NodeContext } from "../../ops/core/context.js";
import type { Epilogue } from "../kernels/epilogue.js";
import type { Place } from "../kernels/functions.js";
import type { Kernel, Value } from "../loops.js";
import type { Location, WeightLayout } from "../program.js";
import type { Target } from "../target.js";

/** The factors of a decomposed convolution: coefficients [K, C/groups, d] and basis [d, taps]. */
export interface ConvFactors {
  readonly coefs: Float32Array;
  readonly basis: Float32Array;
  readonly d: number;
  readonly taps: number;
}

/** What a function of single elements may ask of its node. */
export interface ElementContext extends NodeContext {
  /** The elements of an input's constant as float32; undefined if it is computed or absent. */
  constantData(index: number): Float32Array | undefined;
}

/** An operation of the network: a node, and what was fused to its end. */
export interface LoweringContext extends ElementContext, Target {
  readonly epilogue: Epilogue;
  /** The other values that the epilogue reads, of the output's shape. */
  readonly sides: readonly Location[];
  /** Of a decomposed convolution. */
  readonly convFactors: ConvFactors | undefined;
  /** Dimensions of an input or output. */
  inputDims(index: number): readonly number[];
  outputDims(index?: number): readonly number[];
  /** The constant behind an input, of any size; undefined if it is computed or absent. */
  constant(index: number): Tensor | undefined;
  hasInput(index: number): boolean;
  hasOutput(index: number): boolean;
  /** Where an input lies: constants are put among the weights. @param layout of a constant, where it is a layer's weight */
  read(index: number, layout?: WeightLayout): Location;
  /** A place for an output. */
  write(index?: number): Location;
  /** Makes an output out of memory that holds its elements already. */
  alias(location: Location, index?: number): void;
  /** Memory for the steps of this operation. @param size in elements */
  scratch(size: number): Location;
  /** @param layout what the elements stand for, without which they cannot be kept as 8 bits */
  weights(data: Float32Array | Uint16Array | Int32Array, layout?: WeightLayout): Location;
  /** For how many outputs at a time a convolution's weights are packed already, to be added to. */
  packedBlocks(weights: Float32Array): Set<number>;
  /** Whether `prepared` is computed once, when the weights are loaded, and not in every run. */
  readonly preparesWeights: boolean;
  /**
   * What a kernel makes of constants, or of what was prepared of them.
   * @param kernel its last parameter is what it writes
   * @param size of that, in elements
   */
  prepared(kernel: Kernel, inputs: readonly Location[], size: number): Location;
  call(kernel: Kernel, locations: readonly Location[], multiplyAccumulates?: number): void;
}

/** Turns one operation into calls of kernels. All dimensions are known, and the batch is whatever the graph says. */
export type Lower = (context: LoweringContext) => void;

/** The limits that an operation puts on a value: none where undefined. */
export interface Bounds {
  readonly low: number | undefined;
  readonly high: number | undefined;
}

/** What the compiler knows of one operator. */
export interface Lowering {
  readonly lower: Lower;
  /** It honours `LoweringContext.epilogue`: following nodes that compute each element by itself become part of it. */
  readonly takesEpilogue?: true;
  /** What a node computes of each element, where that is all it does: one that takes epilogues can take it along. */
  readonly element?: (context: ElementContext) => ElementOperation | undefined;
}

/** A function of elements at the same place of a node's inputs. */
export interface ElementOperation {
  /** How many inputs, from the first on, it reads in that way; it knows the others. */
  readonly operands: number;
  compute(place: Place, operands: readonly Value[]): Value;
}
