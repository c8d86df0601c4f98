import { PenniError } from "./errors.js";
import { toInt64 } from "./tensor.js";
import type { Attribute, Attributes, Node, Tensor } from "./types.js";

export const int = (value: number): Attribute => ({ kind: "int", value: toInt64(value) });
export const ints = (value: readonly number[]): Attribute => ({ kind: "ints", value: value.map(toInt64) });
export const float = (value: number): Attribute => ({ kind: "float", value });
export const floats = (value: readonly number[]): Attribute => ({ kind: "floats", value });
export const text = (value: string): Attribute => ({ kind: "string", value });
export const tensor = (value: Tensor): Attribute => ({ kind: "tensor", value });

/** `attributes({ axis: int(1) })`; entries that are undefined are left out. */
export function attributes(entries: Readonly<Record<string, Attribute | undefined>>): Attributes {
  const present = Object.entries(entries).filter(
    (entry): entry is [string, Attribute] => entry[1] !== undefined,
  );
  return new Map(present);
}

/** Some attributes of a node by name; undefined for those that it does not have. */
export function attributesOf(
  { attributes: all }: Node,
  names: readonly string[],
): Readonly<Record<string, Attribute | undefined>> {
  return Object.fromEntries(names.map((name) => [name, all.get(name)]));
}

function read<Kind extends Attribute["kind"]>(
  node: Node,
  name: string,
  kind: Kind,
): Extract<Attribute, { kind: Kind }> | undefined {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.kind === kind) return attribute as Extract<Attribute, { kind: Kind }>;
  throw new PenniError("bad-model", `attribute "${name}" has the wrong type`, {
    node: node.name,
    op: node.op,
    expected: kind,
    found: attribute.kind,
  });
}

/** An integer attribute as a number (beyond 2^53 rounded, which keeps "to the end" markers huge). */
export function intAttribute(node: Node, name: string): number | undefined {
  const attribute = read(node, name, "int");
  return attribute === undefined ? undefined : Number(attribute.value);
}

export function intsAttribute(node: Node, name: string): number[] | undefined {
  return read(node, name, "ints")?.value.map(Number);
}

/** Integers that the operator requires. @throws PenniError "bad-model" if they are absent */
export function requiredInts(node: Node, name: string): readonly number[] {
  const found = intsAttribute(node, name);
  if (found !== undefined) return found;
  throw missing(node, name);
}

/** A text that the operator requires. @throws PenniError "bad-model" if it is absent */
export function requiredString(node: Node, name: string): string {
  const found = stringAttribute(node, name);
  if (found !== undefined) return found;
  throw missing(node, name);
}

function missing(node: Node, name: string): PenniError {
  return new PenniError("bad-model", `attribute "${name}" is missing`, { node: node.name, op: node.op });
}

/** An integer attribute, with the value that the operator's standard gives it where it is absent. */
export function intAttributeOr(node: Node, name: string, standard: number): number {
  return intAttribute(node, name) ?? standard;
}

/** Integers, with the value that the operator's standard gives them where they are absent. */
export function intsAttributeOr(node: Node, name: string, standard: readonly number[]): readonly number[] {
  return intsAttribute(node, name) ?? standard;
}

/** A number, with the value that the operator's standard gives it where it is absent. */
export function floatAttributeOr(node: Node, name: string, standard: number): number {
  return floatAttribute(node, name) ?? standard;
}

/** A text, with the value that the operator's standard gives it where it is absent. */
export function stringAttributeOr(node: Node, name: string, standard: string): string {
  return stringAttribute(node, name) ?? standard;
}

export function floatAttribute(node: Node, name: string): number | undefined {
  return read(node, name, "float")?.value;
}

export function floatsAttribute(node: Node, name: string): readonly number[] | undefined {
  return read(node, name, "floats")?.value;
}

export function stringAttribute(node: Node, name: string): string | undefined {
  return read(node, name, "string")?.value;
}

export function tensorAttribute(node: Node, name: string): Tensor | undefined {
  return read(node, name, "tensor")?.value;
}
