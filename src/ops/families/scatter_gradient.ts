import { stringAttribute } from "../../graph/attributes.js";
import { elementCount } from "../../graph/tensor.js";
import type { Attribute, Node } from "../../graph/types.js";
import { checkConstantSize } from "../core/arguments.js";
import type { GradientContext, GradientRule } from "../core/definition.js";
import { unsupportedForm } from "../core/unsupported_form.js";

/** Since this version of the standard operator set Scatter operators can add to what is there. */
const ADDING_OPSET = 16;

/**
 * Zeros of the dimensions of `name`, for a scatter that adds up.
 * @throws PenniError "unsupported" for operator sets without one
 */
export function zerosLike({ builder, node, opset }: GradientContext, name: string): string {
  checkAdds(node, opset);
  const dims = builder.dims(name);
  checkConstantSize(node, elementCount(dims));
  return builder.floats("zeros", dims, new Float32Array(elementCount(dims)));
}

export function checkAdds(node: Node, opset: number): void {
  if (opset >= ADDING_OPSET) return;
  throw unsupportedForm(node, "gradient", `operator set ${ADDING_OPSET} or later`, `${opset}`);
}

/** The operators of one way to name places: what writes there, what reads from there, and their attributes. */
export interface ScatterPair {
  readonly scatter: "ScatterElements" | "ScatterND";
  readonly gather: "GatherElements" | "GatherND";
  readonly attributes?: (node: Node) => Readonly<Record<string, Attribute>>;
}

/**
 * Gradient of y = x with updates written or added at places: the data get that of what is not overwritten, the updates that
 * of where they went.
 * @throws PenniError "unsupported" for scattering that multiplies or picks extrema
 */
export function scatterGradient({ scatter, gather, attributes = () => ({}) }: ScatterPair): GradientRule {
  return ({ node, builder: b, needs, outputGradients: [dy] }) => {
    const [, indices, updates] = node.inputs;
    if (dy === undefined || indices === undefined || updates === undefined) return [];
    const reduction = stringAttribute(node, "reduction") ?? "none";
    checkPlainScatter(node, reduction);
    const options = { attributes: attributes(node) };
    const kept = (): string =>
      reduction === "add" ? dy : b.emit(scatter, [dy, indices, b.emit("Sub", [updates, updates])], options);
    return [
      needs[0] === true ? kept() : undefined,
      undefined,
      needs[2] === true ? b.emit(gather, [dy, indices], options) : undefined,
    ];
  };
}

function checkPlainScatter(node: Node, reduction: string): void {
  if (reduction === "none" || reduction === "add") return;
  throw unsupportedForm(node, "gradient", "reduction none or add", reduction);
}
