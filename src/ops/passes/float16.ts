import { attributes, int, intAttribute } from "../../graph/attributes.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { float16ToFloat32, float32ToFloat16 } from "../../graph/float16.js";
import { capturedNames, linkGraph } from "../../graph/links.js";
import { elementCount } from "../../graph/tensor.js";
import type { Attribute, ElementType, Graph, Node, Tensor, ValueInfo } from "../../graph/types.js";
import { elementTypeCode } from "../core/element_types.js";
import { inferGraph } from "../inference/infer.js";

/** Types of inputs and outputs that float32 can stand in for, and float32. */
type PortType = "float16" | "float32" | "uint8";

/** Attributes that name an element type by its number. */
const TYPE_ATTRIBUTES: readonly string[] = ["to", "dtype", "output_dtype"];

/** Initializers with fewer elements are not worth a node that casts them. */
const SMALLEST_HALVED = 256;

/** Whether a model keeps most of its weights as float16, be it as a whole or behind Cast. */
export function hasHalfWeights(graph: Graph): boolean {
  const constants = graph.nodes.flatMap((node) =>
    [...node.attributes.values()].flatMap((each) => (each.kind === "tensor" ? [each.value] : [])),
  );
  const tensors = [...graph.initializers.values(), ...constants];
  const elements = (type: ElementType): number =>
    tensors.reduce((sum, each) => (each.type === type ? sum + elementCount(each.dims) : sum), 0);
  return elements("float16") > elements("float32");
}

/**
 * The same network in float32 throughout: float16 constants exactly, every Cast to float16 (and its rounding) gone,
 * inputs and outputs float32. Training and decomposition want that. A graph without float16 is returned as it is, and
 * so is one in which a node that cannot be judged (another domain, a subgraph) may read float16.
 */
export function toFloat32(graph: Graph): Graph {
  if (!mentionsHalf(graph) || nodeThatNeedsHalf(graph) !== undefined) return graph;
  return {
    ...graph,
    inputs: graph.inputs.map(float32Info),
    outputs: graph.outputs.map(float32Info),
    nodes: graph.nodes.map(float32Node),
    initializers: new Map([...graph.initializers].map(([name, each]) => [name, float16ToFloat32(each)])),
    valueInfo: new Map([...graph.valueInfo].map(([name, info]) => [name, float32Info(info)])),
  };
}

/** The first node that keeps a model with float16 from being brought to float32; undefined where none does. */
export function nodeThatNeedsHalf(graph: Graph): Node | undefined {
  if (!mentionsHalf(graph)) return undefined;
  const opaque = graph.nodes.filter(isOpaque);
  if (opaque.length === 0) return undefined;
  const { types } = inferGraph(graph);
  const isHalf = (name: string): boolean =>
    name !== "" && (types.get(name)?.elementType ?? "float16") === "float16";
  return opaque.find((node) => [...node.inputs, ...node.outputs].some(isHalf));
}

const isStandard = (node: Node): boolean => node.domain === "" || node.domain === "ai.onnx";

const isOpaque = (node: Node): boolean =>
  !isStandard(node) || [...node.attributes.values()].some(({ kind }) => kind === "opaque");

function mentionsHalf(graph: Graph): boolean {
  const infos = [...graph.inputs, ...graph.outputs, ...graph.valueInfo.values()];
  return (
    [...graph.initializers.values()].some(({ type }) => type === "float16") ||
    infos.some(({ type }) => type?.elementType === "float16") ||
    graph.nodes.some((node) => [...node.attributes.values()].some(holdsHalf) || namesHalf(node))
  );
}

const holdsHalf = (attribute: Attribute): boolean =>
  attribute.kind === "tensor" && attribute.value.type === "float16";

const namesHalf = (node: Node): boolean =>
  isStandard(node) &&
  TYPE_ATTRIBUTES.some(
    (name) =>
      node.attributes.get(name)?.kind === "int" && intAttribute(node, name) === elementTypeCode("float16"),
  );

function float32Info(info: ValueInfo): ValueInfo {
  if (info.type?.elementType !== "float16") return info;
  return { ...info, type: { ...info.type, elementType: "float32" } };
}

function float32Node(node: Node): Node {
  if (!namesHalf(node) && ![...node.attributes.values()].some(holdsHalf)) return node;
  const changed = [...node.attributes].map(([name, attribute]): [string, Attribute] => {
    if (attribute.kind === "tensor")
      return [name, { kind: "tensor", value: float16ToFloat32(attribute.value) }];
    const isHalfCode =
      TYPE_ATTRIBUTES.includes(name) &&
      attribute.kind === "int" &&
      Number(attribute.value) === elementTypeCode("float16");
    return [name, isHalfCode ? int(elementTypeCode("float32")) : attribute];
  });
  return { ...node, attributes: new Map(changed) };
}

/** A node that converts `x` to a type, as `y`. */
export function castNode(name: string, x: string, y: string, type: PortType): Node {
  return {
    name,
    op: "Cast",
    domain: "",
    inputs: [x],
    outputs: [y],
    attributes: attributes({ to: int(elementTypeCode(type)) }),
  };
}

/**
 * A float32 network with its larger constants stored as float16 behind a Cast, which the runtime computes once when
 * it loads the model: half the bytes, and float32 arithmetic. What float16 cannot hold stays float32.
 */
export function withHalfWeights(graph: Graph): Graph {
  const fresh = freshNames(usedNames(graph));
  const initializers = new Map<string, Tensor>();
  const casts: Node[] = [];
  for (const [name, tensor] of graph.initializers) {
    const isLarge = tensor.type === "float32" && elementCount(tensor.dims) >= SMALLEST_HALVED;
    const half = isLarge ? float32ToFloat16(tensor) : undefined;
    if (half === undefined) {
      initializers.set(name, tensor);
      continue;
    }
    const stored = fresh(`${name}_half`);
    initializers.set(stored, half);
    casts.push(castNode(fresh(`${name}/Cast`), stored, name, "float32"));
  }
  return casts.length === 0 ? graph : { ...graph, nodes: [...casts, ...graph.nodes], initializers };
}

/**
 * The model with inputs and outputs of float32 where it has float16, or images of uint8: Cast nodes around it, itself
 * as it is.
 */
export function float32Interface(graph: Graph): Graph {
  const ports = [...castPorts(graph).keys()];
  return withInterface(graph, new Map(ports.map((name) => [name, "float32"])));
}

/** The network with images as float32 where it takes uint8; levels are whole numbers in either. */
export function float32Images(graph: Graph): Graph {
  return withInterface(graph, new Map(levelInputs(graph).map(({ name }) => [name, "float32"])));
}

/** A float32 network with inputs and outputs of the types that `original` has. */
export function withInterfaceOf(graph: Graph, original: Graph): Graph {
  return withInterface(levelInputs(original).reduce(withoutEntryCasts, graph), castPorts(original));
}

/** Inputs and outputs that float32 stands in for, and what they are. */
function castPorts(graph: Graph): ReadonlyMap<string, PortType> {
  const halves = [...graph.inputs, ...graph.outputs].filter(({ type }) => type?.elementType === "float16");
  return new Map<string, PortType>([
    ...halves.map(({ name }) => [name, "float16"] as const),
    ...levelInputs(graph).map(({ name }) => [name, "uint8"] as const),
  ]);
}

/** Inputs for images of levels from 0 to 255. */
function levelInputs(graph: Graph): readonly ValueInfo[] {
  return graph.inputs.filter(({ type }) => type?.elementType === "uint8" && type.shape?.length === 4);
}

/** Without the Cast nodes that `float32Images` put behind an input, which then takes levels again. */
function withoutEntryCasts(graph: Graph, { name }: ValueInfo): Graph {
  const isCastBack = (node: Node): boolean =>
    node.op === "Cast" && intAttribute(node, "to") === elementTypeCode("uint8");
  const readers = graph.nodes.filter((node) => node.inputs.includes(name));
  if (readers.length === 0 || !readers.every(isCastBack)) return graph;
  const replaced = new Set(readers.flatMap((node) => node.outputs));
  const rename = (value: string): string => (replaced.has(value) ? name : value);
  return {
    ...graph,
    inputs: graph.inputs.map((input) =>
      input.name === name ? { ...input, type: { elementType: "uint8", shape: input.type?.shape } } : input,
    ),
    nodes: graph.nodes
      .filter((node) => !readers.includes(node))
      .map((node) => ({ ...node, inputs: node.inputs.map(rename) })),
  };
}

/**
 * Gives inputs and outputs another type, keeping their names. Those that have it already stay, and so do those that a
 * subgraph reads or no node computes.
 */
function withInterface(graph: Graph, wanted: ReadonlyMap<string, PortType>): Graph {
  const fresh = freshNames(usedNames(graph));
  const { producers, readers } = linkGraph(graph);
  const captured = new Set(graph.nodes.flatMap(capturedNames));
  const inside = new Map<string, string>();
  const changes = ({ name, type }: ValueInfo): boolean =>
    wanted.has(name) && wanted.get(name) !== type?.elementType && !captured.has(name);
  const entering = graph.inputs.filter((info) => changes(info) && readers.has(info.name));
  const leaving = graph.outputs.filter((info) => changes(info) && producers.has(info.name));
  const castsOf = (infos: readonly ValueInfo[], isEntry: boolean): readonly Node[] =>
    infos.map(({ name, type }) => {
      const within = fresh(`${name}_cast`);
      inside.set(name, within);
      const outer = wanted.get(name) ?? "float32";
      const given = type?.elementType === "uint8" ? "uint8" : "float16";
      const inner = outer === "float32" ? given : "float32";
      const node = fresh(`${name}/Cast`);
      return isEntry ? castNode(node, name, within, inner) : castNode(node, within, name, outer);
    });
  const [first, last] = [castsOf(entering, true), castsOf(leaving, false)];
  if (inside.size === 0) return graph;
  const rename = (name: string): string => inside.get(name) ?? name;
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }));
  const declared = (info: ValueInfo): ValueInfo => {
    const elementType = inside.has(info.name) ? wanted.get(info.name) : undefined;
    return elementType === undefined ? info : { ...info, type: { elementType, shape: info.type?.shape } };
  };
  return {
    ...graph,
    inputs: graph.inputs.map(declared),
    outputs: graph.outputs.map(declared),
    nodes: [...first, ...nodes, ...last],
  };
}
