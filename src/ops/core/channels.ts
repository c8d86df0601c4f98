import { orDefault, present } from "../../graph/at.js";
import { inputOrOmitted } from "../../graph/operands.js";
import type { Selection } from "../../graph/select.js";
import type { Attribute, Node, Shape, Tensor, ValueType } from "../../graph/types.js";
import type { Decomposition } from "../../layers/decomposition.js";
import type { NodeContext } from "./context.js";

/**
 * How operators carry channels (design: exact shrinking). Every value of rank >= 2 whose axis 1 has a fixed
 * size has that many *lanes*: channels of a feature map, features after Flatten. Initializers have none: they
 * are parameters that a rule slices to fit.
 */

/** Per lane: the number it holds at every batch and spatial position, or undefined. */
export type LaneConstants = readonly (number | undefined)[];

/** A lane of an input or output of the node at hand. */
export interface LaneRef {
  readonly port: number;
  readonly lane: number;
}

/** Each of `count` lanes of an input with the one `shift` places later of an output: a graph has up to millions. */
export interface LaneRun {
  readonly count: number;
  readonly shift: number;
}

/** Lanes of an input with lanes of an output: a run, or [input lane, output lane] one by one. */
export type LanePairs = LaneRun | readonly (readonly [number, number])[];

/** Lanes of one input and one output that are kept or dropped together. */
export interface Tie {
  readonly input: number;
  readonly output: number;
  readonly pairs: LanePairs;
}

/**
 * What the graph is run for: inference, or training in which BatchNormalization has its stored statistics ("frozen")
 * or normalises with those of the batch ("batch").
 */
export type ForwardMode = "inference" | "frozen" | "batch";

export interface ChannelContext extends NodeContext {
  readonly mode: ForwardMode;
  readonly outputs: readonly (ValueType | undefined)[];
  /** Number of lanes per input; undefined for initializers, omitted inputs and values without lanes. */
  readonly lanes: readonly (number | undefined)[];
  readonly outputLanes: readonly (number | undefined)[];
  /** Known constants per input, parallel to `lanes`. */
  readonly constants: readonly (LaneConstants | undefined)[];
  /**
   * The nodes that read an output (once per input that names it), with what is known of their inputs; undefined if it
   * is also read otherwise: it is an output of the graph, or a subgraph captures it.
   */
  readers(output: number): readonly NodeContext[] | undefined;
  /**
   * What constants other than zero add to a zero-padded Conv goes into a map behind it, where its positions are
   * known; otherwise one of these channels stays and stands for all.
   */
  readonly borderMap: boolean;
  /** The tensor behind an input, if it is an initializer. */
  initializer(input: number): Tensor | undefined;
  /** The decomposed weight of this Conv node, if it has one. */
  readonly decomposition: Decomposition | undefined;
}

/** What a rule uses to rewrite its node once it is decided which lanes stay. */
export interface LaneEditor {
  /** Lanes that stay, ascending. */
  input(port: number): readonly number[];
  output(port: number): readonly number[];
  /**
   * Restricts the float32 or other initializer `name` to some elements, after which `adjust` may change values in
   * place (float32 only; constants of dropped lanes are folded in so); returns the name to use (another reader
   * may need the old one).
   */
  select(name: string, kept: Selection, adjust?: (elements: Float32Array) => void): string;
  /** Stores a new version of the initializer `name` that is no selection of its elements; returns as `select`. */
  write(name: string, tensor: Tensor): string;
  /** Stores a new initializer under a fresh name. */
  add(stem: string, tensor: Tensor): string;
  /** A fresh name for a value. */
  fresh(stem: string): string;
}

/** How one node carries lanes. */
export interface ChannelFlow {
  readonly ties: readonly Tie[];
  /** Inputs whose lanes the rule accounts for; all lanes of the other inputs are kept. */
  readonly carried: readonly number[];
  /** Input lanes that an output lane needs besides those it is tied to. */
  readonly reads?: (output: number, lane: number) => Iterable<LaneRef>;
  /** Known constants per output. */
  readonly constants: readonly (LaneConstants | undefined)[];
  /** Padded Conv that keeps a constant channel in whose place a map could stand: its positions, the kernel's taps. */
  readonly border?: { readonly positions: number; readonly taps: number };
  /** True if `rewrite` improves the node even where no lane is dropped. */
  readonly simplifies?: boolean;
  /** The nodes that replace this one (and, for a decomposed Conv, those of its weight). */
  readonly rewrite: (edit: LaneEditor) => readonly Node[];
}

/** The node keeps all lanes of all its inputs and outputs, for this reason. */
export interface Wall {
  readonly wall: string;
}

/** Describes how a node carries lanes, or why it cannot. */
export type ChannelRule = (context: ChannelContext) => ChannelFlow | Wall;

export const wall = (reason: string): Wall => ({ wall: reason });

/**
 * More channels, or features after a Flatten, than any network has whose lanes are worth following (512 maps of 14x14
 * make 100,352); a file may claim any number, and each lane costs memory.
 */
const MOST_LANES = 2 ** 17;

/** Lanes of a whole graph, several times those of the largest networks: each costs time in every step. */
export const MOST_LANES_IN_ALL = 2 ** 21;

/** The number of lanes of a shape: its axis 1, where that is a number. */
export function laneCount(shape: Shape | undefined): number | undefined {
  if (shape === undefined || shape.length < 2) return undefined;
  const [, lanes] = shape;
  return typeof lanes === "number" && lanes > 0 && lanes <= MOST_LANES ? lanes : undefined;
}

/** Whether a value has channels, be they too many to be followed. */
export function hasChannels(shape: Shape | undefined): boolean {
  const channels = shape?.[1];
  return typeof channels === "number" && channels > 0;
}

/** Rounds a computed constant to float32; undefined where it is not a finite number. */
export function laneConstant(value: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  const rounded = Math.fround(value);
  return Number.isFinite(rounded) ? rounded : undefined;
}

/** What is known of the lanes of the first input, in order; of none where it has no lanes, or nothing is known of any. */
export function firstConstants({ constants }: Pick<ChannelContext, "constants">): LaneConstants {
  return orDefault(constants[0], []);
}

/** The rank of the first input, which has lanes. @throws PenniError "internal" if it has none */
export function rankOfLanes({ inputs }: Pick<ChannelContext, "inputs">): number {
  return present(inputs[0]?.shape, "the shape of an input with lanes").length;
}

export function unknownConstants(lanes: number): LaneConstants {
  return new Array<undefined>(lanes).fill(undefined);
}

/** Each lane with itself. */
export function identityPairs(lanes: number): LanePairs {
  return shiftedPairs(lanes, 0);
}

/** Each lane of an input with the one so many places later. */
export function shiftedPairs(lanes: number, shift: number): LaneRun {
  return { count: lanes, shift };
}

/** Goes through pairs of lanes. */
export function forEachPair(pairs: LanePairs, visit: (input: number, output: number) => void): void {
  if ("count" in pairs) {
    for (let lane = 0; lane < pairs.count; lane++) visit(lane, lane + pairs.shift);
  } else for (const [input, output] of pairs) visit(input, output);
}

/** The node with some inputs replaced. */
export function withInputs(node: Node, replaced: ReadonlyMap<number, string>): Node {
  const length = Math.max(node.inputs.length, ...[...replaced.keys()].map((index) => index + 1));
  const inputs = Array.from({ length }, (_, index) => replaced.get(index) ?? inputOrOmitted(node, index));
  return { ...node, inputs };
}

/** The node with some attributes replaced, or removed where the new value is undefined. */
export function withAttributes(node: Node, changes: Readonly<Record<string, Attribute | undefined>>): Node {
  const attributes = new Map(node.attributes);
  for (const [name, attribute] of Object.entries(changes)) {
    if (attribute === undefined) attributes.delete(name);
    else attributes.set(name, attribute);
  }
  return { ...node, attributes };
}
