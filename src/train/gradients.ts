import { listOf } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { dependentsOf } from "../graph/following.js";
import { pushTo } from "../graph/push_to.js";
import { elementCount } from "../graph/tensor.js";
import type { Node } from "../graph/types.js";
import { ruleOf } from "../ops/core/definition.js";
import { add, reduceSum, reshape } from "../ops/core/emit.js";
import type { TypedBuilder } from "../ops/inference/builder.js";
import { findOp } from "../ops/inference/registry.js";

/** Who wants to know where gradients pass. */
export interface GradientObserver {
  /** The node has no gradient, for this reason. */
  blocked(node: Node, reason: PenniError): void;
  /** These inputs of the node got a gradient from it. */
  passed(node: Node, inputs: readonly string[]): void;
}

/**
 * Appends to `builder` the nodes that compute the gradient of a scalar `loss` with respect to the `wanted`
 * values, by reverse accumulation over `nodes` (the forward nodes, topologically ordered and already
 * appended to the builder). All shapes must be static. Only what lies between a wanted value and the loss is
 * walked; the gradient of a broadcast input is summed back to the input's shape here, once for all rules.
 *
 * @param observer told of every node on the path. Without, the first one that has no gradient ends the work; with it,
 *   such a node's inputs get none from it.
 * @returns for every wanted value that reaches the loss, the name of its gradient (of the value's shape)
 * @throws PenniError "unsupported" naming the node if an operator on the path has no gradient
 */
export function buildGradients(
  builder: TypedBuilder,
  nodes: readonly Node[],
  loss: string,
  wanted: readonly string[],
  observer?: GradientObserver,
): Map<string, string> {
  const { nodes: affected, values: dependent } = dependentsOf(nodes, wanted);
  const partials = new Map<string, string[]>([[loss, [onesLike(builder, loss)]]]);
  const totals = new Map<string, string>();

  const total = (name: string): string | undefined => {
    const known = totals.get(name);
    if (known !== undefined) return known;
    const [first, ...rest] = listOf(partials, name);
    if (first === undefined) return undefined;
    const sum = rest.reduce((accumulated, partial) => add(builder, accumulated, partial), first);
    totals.set(name, sum);
    return sum;
  };

  for (const node of nodes.toReversed()) {
    if (!affected.has(node)) continue;
    const outputGradients = node.outputs.map((name) => (name === "" ? undefined : total(name)));
    if (outputGradients.every((gradient) => gradient === undefined)) continue;
    const gradients = attempt(() => differentiate(builder, node, outputGradients, dependent), node, observer);
    const passed = node.inputs.filter((name, index) => {
      const gradient = gradients[index];
      if (gradient === undefined || !dependent.has(name)) return false;
      const partial = sumToShape(builder, gradient, builder.dims(name), node);
      pushTo(partials, name, partial);
      return true;
    });
    observer?.passed(node, passed);
  }
  return new Map(
    wanted.flatMap((name) => {
      const gradient = total(name);
      return gradient === undefined ? [] : [[name, gradient] as const];
    }),
  );
}

/** What `differentiate` gives; nothing where the node blocks the way and somebody wants to know. */
function attempt(
  differentiateNode: () => readonly (string | undefined)[],
  node: Node,
  observer: GradientObserver | undefined,
): readonly (string | undefined)[] {
  if (observer === undefined) return differentiateNode();
  try {
    return differentiateNode();
  } catch (error) {
    if (!(error instanceof PenniError) || error.code !== "unsupported") throw error;
    observer.blocked(node, error);
    return [];
  }
}

function onesLike(builder: TypedBuilder, name: string): string {
  const dims = builder.dims(name);
  return builder.floats("loss_gradient", dims, new Float32Array(elementCount(dims)).fill(1));
}

function differentiate(
  builder: TypedBuilder,
  node: Node,
  outputGradients: readonly (string | undefined)[],
  dependent: ReadonlySet<string>,
): readonly (string | undefined)[] {
  const rule = ruleOf(findOp(node)?.gradient);
  if (rule === undefined) {
    throw new PenniError(
      "unsupported",
      "this operator lies between a trained weight and the loss and has no gradient",
      {
        node: node.name,
        op: node.op,
        advice: "Leave the layers before it out of the compression, or use a method that needs no training",
      },
    );
  }
  return rule({
    node,
    opset: builder.opset,
    builder,
    outputGradients,
    needs: node.inputs.map((name) => dependent.has(name)),
    dims: (name) => builder.dims(name),
    constant: (name) => builder.constantTensor(name),
  });
}

/** Sums a gradient over the axes along which its value was broadcast: dx = Σ dy over repeated elements. */
function sumToShape(builder: TypedBuilder, gradient: string, dims: readonly number[], node: Node): string {
  const found = builder.dims(gradient);
  if (sameDims(found, dims)) return gradient;
  const lead = found.length - dims.length;
  const axes = found.flatMap((size, axis) => {
    if (axis < lead) return [axis];
    return dims[axis - lead] === 1 && size !== 1 ? [axis] : [];
  });
  const summed = axes.length === 0 ? gradient : reduceSum(builder, gradient, axes, true);
  if (elementCount(builder.dims(summed)) !== elementCount(dims)) {
    throw new PenniError("internal", "the gradient rule returned a gradient of the wrong shape", {
      node: node.name,
      op: node.op,
      expected: `[${dims.join(", ")}]`,
      found: `[${found.join(", ")}]`,
    });
  }
  return sameDims(builder.dims(summed), dims) ? summed : reshape(builder, summed, dims);
}

function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}
