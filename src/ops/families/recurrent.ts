import { at, inputOf } from "../../graph/at.js";
import { floatAttributeOr, int, intAttribute, stringAttribute } from "../../graph/attributes.js";
import { firstOf, inputsOf } from "../../graph/operands.js";
import { shapeError } from "../../graph/shape_error.js";
import { float32Tensor, numericData } from "../../graph/tensor.js";
import type { Dim, Node, ValueType } from "../../graph/types.js";
import { optionalInput, requiredInput } from "../core/arguments.js";
import { wall } from "../core/channels.js";
import type { NodeContext } from "../core/context.js";
import { absent, type OpDefinition, staticShape } from "../core/definition.js";
import { add, matMul, reshape, slice, transpose } from "../core/emit.js";
import type { Emitter } from "../core/emitter.js";
import { checkTable, mustBeConstant, unsupportedForm } from "../core/unsupported_form.js";

// What LSTM and GRU have in common: x [steps, N, inputs], W [directions, gates * hidden, inputs], R [directions,
// gates * hidden, hidden], B [directions, 2 * gates * hidden] -> y [steps, directions, N, hidden] and the last states
// [directions, N, hidden]. With layout 1 the batch comes first.

const isBatchFirst = (node: Node): boolean => intAttribute(node, "layout") === 1;

/** Of W and R: each row is of one gate of one unit. */
const scaleAxes = { 1: () => 1, 2: () => 1 } as const;

/** The types of y and of the last states, of which there are `states`. */
export function recurrentTypes(context: NodeContext, states: number): readonly ValueType[] {
  const { node, inputs } = context;
  const { elementType, shape } = requiredInput(context, 0);
  const directions =
    inputs[2]?.shape?.[0] ?? (stringAttribute(node, "direction") === "bidirectional" ? 2 : 1);
  const hidden: Dim = inputs[2]?.shape?.[2] ?? intAttribute(node, "hidden_size");
  if (shape !== undefined && shape.length !== 3) {
    throw shapeError(node, "the data have the wrong rank", "3", `${shape.length}`);
  }
  for (const weight of [requiredInput(context, 1), requiredInput(context, 2)]) {
    if (weight.shape !== undefined && weight.shape.length !== 3)
      throw shapeError(node, "the weights have the wrong rank", "3", `${weight.shape.length}`);
  }
  const [steps, batch] = isBatchFirst(node) ? [shape?.[1], shape?.[0]] : [shape?.[0], shape?.[1]];
  const all = isBatchFirst(node) ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden];
  const last = isBatchFirst(node) ? [batch, directions, hidden] : [directions, batch, hidden];
  return [
    { elementType, shape: all },
    ...Array.from({ length: states }, () => ({ elementType, shape: last })),
  ];
}

/** Products with both weights, at every step. */
function recurrentCost({ node, inputs }: NodeContext): number {
  const [first, second] = firstOf(staticShape(node, inputs[0]), 2);
  const [directions, rows, width] = firstOf(staticShape(node, inputs[1]), 3);
  const hidden = at(staticShape(node, inputs[2]), 2);
  return first * second * directions * rows * (width + hidden);
}

/** What is true of every recurrent layer. */
export const recurrentFacts = {
  gradient: absent("recurrent layers are not trained"),
  cost: recurrentCost,
  scaleAxes,
  channels: () => wall("it mixes them over time"),
} as const satisfies Partial<OpDefinition>;

/** One direction's weights: W and R transposed, and what is added behind each. */
export interface Direction {
  readonly b: Emitter;
  readonly hidden: number;
  /** Products of all steps with W, and its bias: [steps, N, gates * hidden]. */
  readonly projected: string;
  /** [hidden, gates * hidden]. */
  readonly recurrent: string;
  /** The bias of R, [gates * hidden]; undefined where there is none. */
  readonly bias: string | undefined;
}

/** The next states, the first of which is what the layer gives, from those before and the step's products with W. */
export type Step = (projected: string, states: readonly string[], direction: Direction) => readonly string[];

/** Steps are written out one by one. */
const MOST_STEPS = 2048;

/**
 * A recurrent layer with its steps written out.
 * @param initial numbers of the inputs that hold the first states
 * @throws PenniError "unsupported" for forms that no exporter of trained networks writes
 */
export function unrolled(
  b: Emitter,
  node: Node,
  {
    gates,
    initial,
    step,
  }: { readonly gates: number; readonly initial: readonly number[]; readonly step: Step },
): readonly string[] {
  checkForm(b, node, gates);
  const [x, weight, recurrent] = inputsOf(node, 3);
  const [steps, batch, width] = firstOf(b.dims(x), 3);
  const [directions, rows, hidden] = firstOf(b.dims(recurrent), 3);
  if (steps * directions > MOST_STEPS) {
    throw unsupportedForm(node, "simpler one", `at most ${MOST_STEPS} steps`, `${steps * directions}`);
  }
  checkTable(node, batch * hidden);
  const pick = (name: string, direction: number, dims: readonly number[]): string =>
    reshape(b, slice(b, name, [{ axis: 0, start: direction, end: direction + 1 }]), dims);
  const bias = optionalInput(node, 3);
  const half = (direction: number, part: number): string | undefined =>
    bias &&
    slice(b, pick(bias, direction, [2 * rows]), [{ axis: 0, start: part * rows, end: (part + 1) * rows }]);
  const runs = Array.from({ length: directions }, (_, direction) => {
    const product = matMul(b, x, transpose(b, pick(weight, direction, [rows, width]), [1, 0]));
    const offset = half(direction, 0);
    const parts: Direction = {
      b,
      hidden,
      projected: offset === undefined ? product : add(b, product, offset),
      recurrent: transpose(b, pick(recurrent, direction, [rows, hidden]), [1, 0]),
      bias: half(direction, 1),
    };
    const states = initial.map((index) => {
      const name = optionalInput(node, index);
      if (name === undefined)
        return b.constant("state", float32Tensor([batch, hidden], new Float32Array(batch * hidden)));
      return pick(name, direction, [batch, hidden]);
    });
    const isReversed = direction === 1 || stringAttribute(node, "direction") === "reverse";
    return overSteps(parts, { steps, batch, rows, states, isReversed, step });
  });
  return outputsOf(b, runs, { steps, batch, hidden });
}

interface Run {
  /** What each step gives, [N, hidden], in the order of the data. */
  readonly given: readonly string[];
  readonly states: readonly string[];
}

interface Course {
  readonly steps: number;
  readonly batch: number;
  readonly rows: number;
  readonly states: readonly string[];
  readonly isReversed: boolean;
  readonly step: Step;
}

function overSteps(direction: Direction, { steps, batch, rows, states, isReversed, step }: Course): Run {
  const { b, projected } = direction;
  const given: string[] = [];
  let current = states;
  for (let count = 0; count < steps; count++) {
    const position = isReversed ? steps - 1 - count : count;
    const part = reshape(b, slice(b, projected, [{ axis: 0, start: position, end: position + 1 }]), [
      batch,
      rows,
    ]);
    current = step(part, current, direction);
    given[position] = at(current, 0);
  }
  return { given, states: current };
}

function outputsOf(
  b: Emitter,
  runs: readonly Run[],
  { steps, batch, hidden }: { readonly steps: number; readonly batch: number; readonly hidden: number },
): readonly string[] {
  const joined = (parts: readonly string[], axis: number): string => {
    const [only] = firstOf(parts, 1);
    return parts.length === 1 ? only : b.emit("Concat", parts, { attributes: { axis: int(axis) } });
  };
  const whole = joined(
    runs.map(({ given }) =>
      joined(
        given.map((name) => reshape(b, name, [1, 1, batch, hidden])),
        0,
      ),
    ),
    1,
  );
  const states = at(runs, 0).states.map((_, index) =>
    joined(
      runs.map((run) => reshape(b, at(run.states, index), [1, batch, hidden])),
      0,
    ),
  );
  return [reshape(b, whole, [steps, runs.length, batch, hidden]), ...states];
}

function checkForm(b: Emitter, node: Node, gates: number): void {
  const refuse = (expected: string, found: string): never => {
    throw unsupportedForm(node, "simpler one", expected, found);
  };
  if (node.attributes.has("activations") && !hasUsualActivations(node, gates))
    refuse("the usual activations", "others");
  if (floatAttributeOr(node, "clip", 0) > 0) refuse("no clip", "clip");
  if (intAttribute(node, "input_forget") === 1) refuse("input and forget gates apart", "input_forget 1");
  if (optionalInput(node, 7) !== undefined) refuse("no peepholes", "peepholes");
  if (isBatchFirst(node)) refuse("layout 0", "layout 1");
  const lengths = optionalInput(node, 4);
  if (lengths === undefined) return;
  const constant = b.constantTensor(lengths);
  if (constant === undefined) throw mustBeConstant(node, "sequence lengths");
  const steps = b.dims(inputOf(node, 0))[0];
  if (numericData(constant).some((length) => length !== steps))
    refuse("sequences of full length", "shorter ones");
}

function hasUsualActivations(node: Node, gates: number): boolean {
  const stated = node.attributes.get("activations");
  const usual = gates === 4 ? ["sigmoid", "tanh", "tanh"] : ["sigmoid", "tanh"];
  if (stated?.kind !== "strings") return false;
  return stated.value.every((name, index) => name.toLowerCase() === usual[index % usual.length]);
}
