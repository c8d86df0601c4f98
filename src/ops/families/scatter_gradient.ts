import { elementCount } from "../../graph/tensor.js";
import type { Node } from "../../graph/types.js";
import { checkConstantSize } from "../core/arguments.js";
import type { GradientContext } from "../core/definition.js";
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

/**
 * Refuses to differentiate scattering that multiplies or picks extrema.
 * @throws PenniError "unsupported"
 */
export function checkPlainScatter(node: Node, reduction: string): void {
  if (reduction === "none" || reduction === "add") return;
  throw unsupportedForm(node, "gradient", "reduction none or add", reduction);
}
