import { orDefault } from "../../graph/at.js";
import { describeShape, shapeError } from "../../graph/shape_error.js";
import type { Graph, Node, Tensor, ValueType } from "../../graph/types.js";
import type { ChannelRule } from "./channels.js";
import type { KnownValue, NodeContext } from "./context.js";
import type { Emitter } from "./emitter.js";

/** Types of all outputs that the operator can have, in order. Throws `PenniError` "shape" where the inputs contradict the operator. */
export type ShapeRule = (context: NodeContext) => readonly ValueType[];

/** Known values of the outputs; called only for nodes whose inputs and outputs are small. */
export type ValueRule = (context: NodeContext) => readonly (KnownValue | undefined)[];

/** What a gradient rule sees; all shapes are static when gradients are built. */
export interface GradientContext {
  readonly node: Node;
  readonly opset: number;
  /** Emits nodes into the training graph. */
  readonly builder: Emitter;
  /** Gradient of the loss with respect to each output; undefined where the output does not reach the loss. */
  readonly outputGradients: readonly (string | undefined)[];
  /** Whether anybody needs the gradient of this input; rules skip the others. */
  readonly needs: readonly boolean[];
  /** Static dimensions of a value of the forward or the backward graph. */
  dims(name: string): readonly number[];
  /** The constant behind a name: an initializer, or a small value that is known before the model runs. */
  constant(name: string): Tensor | undefined;
}

/**
 * Gradient of the loss with respect to each input, undefined for those not needed or not differentiable.
 * A gradient may have the broadcast shape of its input: the driver sums it back.
 */
export type GradientRule = (context: GradientContext) => readonly (string | undefined)[];

/** Multiply-accumulates of the node for its (static) shapes. Operators without a rule cost none. */
export type CostRule = (context: NodeContext, outputs: readonly ValueType[]) => number;

/**
 * Writes a node in other operators: a composite of Penni's own in standard ones, a standard one in simpler ones.
 * @returns the names of the outputs, undefined where the node omits one
 */
export type ExpandRule = (builder: Emitter, node: Node) => readonly (string | undefined)[];

/** In place of a rule: why the operator has none. What lacks it is refused or left alone, as its consumer says. */
export interface Absence {
  readonly absent: string;
}

export const absent = (reason: string): Absence => ({ absent: reason });

/** The rule, where there is one. */
export function ruleOf<Rule extends object>(facet: Rule | Absence | undefined): Rule | undefined {
  return facet === undefined || "absent" in facet ? undefined : facet;
}

/** Operators that multiply nothing by weights cost no multiply-accumulates, as everywhere in the literature. */
export const noProducts = absent("it multiplies nothing by weights");
/** What computes with integers is de-quantized before anything is trained or shrunk. */
export const ofIntegers = absent("networks of integers are de-quantized first");
/** What is made of numbers and dimensions alone. */
export const ofConstants = absent("nothing that is trained reaches it");
/** What Penni's own operators of the training step do without: they are gone before a network is shrunk or counted. */
export const onlyInTraining = absent("it exists in training steps only");

/** What becomes of the elements of the first input (of every input, for Concat), by how much they keep of themselves. */
export type Handling =
  /** The output is the input. */
  | "kept"
  /** The same elements in the same order under other dimensions. */
  | "reshaped"
  /** Other places, repetitions or a choice, told by positions. */
  | "moved"
  /** The same, and elements of a fill value between them. */
  | "padded"
  /** The same numbers in another type. */
  | "converted"
  /** A choice told by their sizes: maxima. */
  | "picked"
  /** Means with positive weights. */
  | "averaged"
  /** Sums with weights of either sign that add up to 1. */
  | "interpolated";

/** The inputs of an operator that may be constants of a network. */
export interface ConstantInputs {
  /** Weights, biases and slopes, which training changes and which count as parameters. */
  readonly trained: readonly number[];
  /** Statistics, bounds and sizes, which are no parameters although they may be float constants. */
  readonly settings: readonly number[];
}

/** A weight, input 1, over whose channels the operator sums its first input's. */
export interface WeightLayout {
  /** Axis of the weight along which the output channels run; the inputs run along the other one of axes 0 and 1. */
  readonly outputAxis: (node: Node) => 0 | 1;
  readonly groups: (node: Node) => number;
  /** Whether input 2 is a bias. */
  readonly takesBias: boolean;
  /** Why its kernels cannot share a basis; undefined for those that can. */
  readonly noBasis?: string;
}

/**
 * The axis of a weight along which what each output is made of lies apart (or, of a table, each entry): numbers that
 * share a scale where weights are stored as integers.
 */
export type ScaleAxis = (node: Node, dims: readonly number[]) => number;

/** Everything Penni knows about one operator. Where there is no rule, the definition says why. */
export interface OpDefinition {
  readonly type: string;
  readonly shape: ShapeRule;
  readonly gradient: GradientRule | Absence;
  readonly channels: ChannelRule | Absence;
  readonly cost: CostRule | Absence;
  /** Why the compiler has no loops for it; all others have a lowering, or an `expand` into such. */
  readonly notCompiled?: Absence;
  /** True if the training step has a form of it on the runtime's blocked layout; the others get plain values there. */
  readonly onBlocks?: true;
  /** The outputs from this number on need not be listed, and nothing changes where they are not; default: none. */
  readonly optionalOutputs?: number;
  /** Absent where no arithmetic of shapes uses it. */
  readonly value?: ValueRule;
  /** Composites (domain "penni"), and standard operators that the compiler knows in this form only. */
  readonly expand?: ExpandRule;
  /** Absent where it computes new numbers. */
  readonly elements?: Handling;
  /** True if no number of the output is below 0, whatever the inputs are. */
  readonly neverNegative?: true;
  /** True if float32 arithmetic rounds what integers of moderate size would give. */
  readonly roundsIntegers?: true;
  /** True if how many elements the output has depends on the elements of the inputs. */
  readonly countsData?: true;
  /** Absent where constants are neither: all float ones count as parameters, and none is trained. */
  readonly constants?: ConstantInputs;
  /** Inputs, by their places, that hold one element; a list of one is taken for the number in it. */
  readonly scalars?: readonly number[];
  readonly weight?: WeightLayout;
  /** Of inputs that may be weights, by their places; absent where none is a weight. */
  readonly scaleAxes?: Readonly<Record<number, ScaleAxis>>;
  /** The order in which the input's axes lie in the output, where that is all the operator does. */
  readonly permutation?: (node: Node, rank: number) => readonly number[];
}

/** The version of the standard operator set that a graph imports. */
export function standardOpset(graph: Graph): number {
  return orDefault(graph.opsets.get("") ?? graph.opsets.get("ai.onnx"), 1);
}

/** Shape rule of operators whose only output has the type of the first input. */
export const sameTypeAsFirstInput: ShapeRule = ({ node, inputs: [x] }) => {
  if (x === undefined) throw shapeError(node, "the type of the input is unknown");
  return [x];
};

/** The dimensions of a type, all of which must be known. */
export function staticShape(node: Node, type: ValueType | undefined): readonly number[] {
  const shape = type?.shape;
  if (shape?.every((dim): dim is number => typeof dim === "number")) return shape as readonly number[];
  throw shapeError(node, "a shape must be fully known here", "fixed dimensions", describeShape(shape));
}
