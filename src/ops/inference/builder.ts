import { orDefault } from "../../graph/at.js";
import { attributes } from "../../graph/attributes.js";
import { freshNames } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { float32Tensor, int64Tensor, numericTensor, scalarTensor } from "../../graph/tensor.js";
import type { Node, Tensor, ValueType } from "../../graph/types.js";
import type { KnownValue } from "../core/context.js";
import type { EmitOptions, Emitter } from "../core/emitter.js";
import { knownNumbers } from "../core/rearrange.js";
import { inferNode, inferValues, knownValue, nodeContext, staticDims, tensorType } from "./infer.js";

/**
 * Collects nodes and constants, infers the type of every value as it is emitted (so a malformed node fails
 * where it is written, not in the runtime), and hands out fresh names.
 */
export class TypedBuilder implements Emitter {
  readonly opset: number;
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, Tensor>();
  readonly types = new Map<string, ValueType>();
  private readonly values = new Map<string, KnownValue>();
  private readonly usedNames: Set<string>;
  private readonly fresh: (stem: string) => string;
  private readonly sharedConstants = new Map<string, string>();

  constructor(opset: number, reservedNames: Iterable<string> = []) {
    this.opset = opset;
    this.usedNames = new Set(reservedNames);
    this.fresh = freshNames(this.usedNames);
  }

  /** A name that nothing uses yet: `stem`, or `stem_2`, `stem_3`, ... */
  freshName(stem: string): string {
    return this.fresh(stem);
  }

  /** Declares a value that comes from outside: a graph input or a value of another graph. */
  declare(name: string, type: ValueType): string {
    this.usedNames.add(name);
    this.types.set(name, type);
    return name;
  }

  /** Adds a constant under a fresh name. */
  constant(stem: string, tensor: Tensor): string {
    const name = this.freshName(stem);
    this.setInitializer(name, tensor);
    return name;
  }

  /** Adds a constant under exactly this name. */
  setInitializer(name: string, tensor: Tensor): void {
    this.usedNames.add(name);
    this.initializers.set(name, tensor);
    this.types.set(name, tensorType(tensor));
    const value = knownValue(tensor);
    if (value !== undefined) this.values.set(name, value);
  }

  /** A float32 scalar constant, one per value. */
  scalar(value: number): string {
    return this.shared(`scalar_${value}`, () => scalarTensor(value));
  }

  /** A one-dimensional int64 constant, one per value. */
  axes(values: readonly number[]): string {
    return this.shared(`ints_${values.join("_")}`, () => int64Tensor([values.length], values));
  }

  /** A float32 constant with the given dimensions. */
  floats(stem: string, dims: readonly number[], data: ArrayLike<number>): string {
    return this.constant(stem, float32Tensor(dims, data));
  }

  private shared(key: string, make: () => Tensor): string {
    const known = this.sharedConstants.get(key);
    if (known !== undefined) return known;
    const name = this.constant(key, make());
    this.sharedConstants.set(key, name);
    return name;
  }

  /** The constant behind a name: an initializer, or what small constants and fixed dimensions were made into. */
  constantTensor(name: string): Tensor | undefined {
    const initializer = this.initializers.get(name);
    if (initializer !== undefined) return initializer;
    const value = this.values.get(name);
    const numbers = knownNumbers(value);
    return value === undefined || numbers === undefined
      ? undefined
      : numericTensor(value.type, value.dims, numbers);
  }

  /** Appends an existing node as it is and infers its types and, where they are constants, its values. */
  append(node: Node): void {
    const context = nodeContext(node, this.opset, this.types, this.values);
    const inferred = inferNode(context);
    const isTyped = context.inputs.every((type, index) => type !== undefined || node.inputs[index] === "");
    const values = isTyped ? inferValues(context, inferred) : [];
    this.nodes.push(node);
    node.outputs.forEach((name, index) => {
      const type = inferred[index];
      const value = values[index];
      if (name === "") return;
      this.usedNames.add(name);
      if (type !== undefined) this.types.set(name, type);
      if (value !== undefined) this.values.set(name, value);
    });
  }

  /** Emits a node with one output (or the given ones) and returns the first output's name. */
  emit(op: string, inputs: readonly string[], options: EmitOptions = {}): string {
    const outputs = options.outputs ?? [this.freshName(options.hint ?? op.toLowerCase())];
    const first = outputs.find((name) => name !== "");
    if (first === undefined) throw new PenniError("internal", "a node needs an output", { op });
    this.append({
      name: this.freshName(`${first}/${op}`),
      op,
      domain: orDefault(options.domain, ""),
      inputs,
      outputs,
      attributes: attributes(options.attributes ?? {}),
    });
    options.types?.forEach((type, index) => {
      const name = outputs[index];
      if (name !== undefined && name !== "") this.types.set(name, type);
    });
    return first;
  }

  /** Static dimensions of a value; throws where they are not known. */
  dims(name: string): readonly number[] {
    return staticDims(this.types, name);
  }
}
