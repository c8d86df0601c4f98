import type { ElementType, Node, ValueType } from "../../graph/types.js";

/**
 * A small constant that is known, perhaps only in part, before the model runs: what Shape, Gather, Concat
 * and the like compute. An element is a number, the name of a symbolic dimension, or unknown.
 */
export interface KnownValue {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly elements: readonly (number | string | undefined)[];
}

/** What a rule may ask about the node at hand. Types and values are undefined where they are not known. */
export interface NodeContext {
  readonly node: Node;
  /** Version of the standard operator set. */
  readonly opset: number;
  readonly inputs: readonly (ValueType | undefined)[];
  /** Small constants that are known before the model runs (initializers and propagated values). */
  readonly values: readonly (KnownValue | undefined)[];
}
