import type { Attribute, Node, Tensor, ValueType } from "../../graph/types.js";

export interface EmitOptions {
  readonly attributes?: Readonly<Record<string, Attribute | undefined>>;
  /** Names for the outputs; by default one fresh name. */
  readonly outputs?: readonly string[];
  /** Stem of the fresh name. */
  readonly hint?: string;
  /** Default: the standard domain. */
  readonly domain?: string;
  /** Types of the outputs, for operators without a shape rule. */
  readonly types?: readonly ValueType[];
}

/**
 * Where operators write nodes of their gradients and expansions: every value has its type as soon as it is emitted, so
 * that a malformed node fails where it is written, and names are fresh.
 */
export interface Emitter {
  /** Version of the standard operator set. */
  readonly opset: number;
  /** Types of the values so far. */
  readonly types: ReadonlyMap<string, ValueType>;
  /** A name that nothing uses yet: `stem`, or `stem_2`, `stem_3`, ... */
  freshName(stem: string): string;
  /** Adds a constant under a fresh name. */
  constant(stem: string, tensor: Tensor): string;
  /** A float32 scalar constant, one per value. */
  scalar(value: number): string;
  /** A one-dimensional int64 constant, one per value. */
  axes(values: readonly number[]): string;
  /** A float32 constant with the given dimensions. */
  floats(stem: string, dims: readonly number[], data: ArrayLike<number>): string;
  /** The constant behind a name: an initializer, or what small constants and fixed dimensions were made into. */
  constantTensor(name: string): Tensor | undefined;
  /** Appends an existing node as it is. */
  append(node: Node): void;
  /** Emits a node with one output (or the given ones) and returns the first output's name. */
  emit(op: string, inputs: readonly string[], options?: EmitOptions): string;
  /** Static dimensions of a value; throws where they are not known. */
  dims(name: string): readonly number[];
}
