import { clone, create } from "@bufbuild/protobuf";
import { orDefault } from "../graph/at.js";
import { freshNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { normalDomain } from "./attributes.js";
import { checkFunctionOpsets } from "./function_opsets.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  type FunctionProto,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "./gen/onnx_pb.js";
import { sparseName } from "./sparse.js";

/** Calls may double at every level, so what all of them make together is bounded: nodes, and bytes of their constants. */
const MOST_NODES = 2 ** 18;
const MOST_CONSTANT_BYTES = 2 ** 30;
const DEEPEST_CALL = 64;
/** Names grow with every call inside another; longer ones give way to the function's. */
const LONGEST_PREFIX = 256;

/**
 * Writes the bodies of the model's own functions where they are called, also inside subgraphs and each other: in ONNX a
 * function means its body. Names inside a body are made unique. The message itself is changed.
 * @throws PenniError "bad-model" if functions call each other in a circle or a call does not fit, "unsupported" if all
 *   bodies together are too large, or a function uses an operator in another form than the model
 */
export function inlineFunctions(model: ModelProto): void {
  const { graph } = model;
  if (graph === undefined || model.functions.length === 0) return;
  const functions = new Map(
    model.functions.filter(({ domain }) => normalDomain(domain) !== "").map((each) => [keyOf(each), each]),
  );
  const inliner = new Inliner(model, functions, freshNames(namesOf(graph)));
  graph.node = inliner.expanded(graph.node, []);
  model.functions = [];
  const used = new Set(allNodes(graph).map(({ domain }) => normalDomain(domain)));
  const own = new Set([...functions.values()].map(({ domain }) => normalDomain(domain)));
  model.opsetImport = model.opsetImport.filter(({ domain }) => {
    const name = normalDomain(domain);
    return !own.has(name) || used.has(name);
  });
}

type Called = Pick<FunctionProto, "domain" | "name" | "overload">;

const keyOf = ({ domain, name, overload }: Called): string =>
  JSON.stringify([normalDomain(domain), name, overload]);

const keyOfCall = ({ domain, opType, overload }: NodeProto): string =>
  keyOf({ domain, name: opType, overload });

const subgraphsOf = ({ attribute }: NodeProto): readonly GraphProto[] =>
  attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]));

function allNodes(graph: GraphProto): readonly NodeProto[] {
  return graph.node.flatMap((node) => [node, ...subgraphsOf(node).flatMap(allNodes)]);
}

/** Values that a graph itself defines. */
function definedIn(graph: GraphProto): readonly string[] {
  return [
    ...[...graph.input, ...graph.initializer].map(({ name }) => name),
    ...graph.sparseInitializer.map(sparseName),
    ...graph.node.flatMap(({ output }) => output),
  ];
}

function namesOf(graph: GraphProto): Set<string> {
  const nodes = allNodes(graph);
  const inner = nodes.flatMap(subgraphsOf).flatMap(definedIn);
  const infos = [...graph.output, ...graph.valueInfo].map(({ name }) => name);
  return new Set([...definedIn(graph), ...infos, ...inner, ...nodes.flatMap(({ input }) => input)]);
}

/** What names and attributes of a function's body stand for in one call. */
interface Call {
  /** "" for an input that the call omits. */
  readonly names: ReadonlyMap<string, string>;
  /** By the name that the body refers to; undefined: left out. */
  readonly attributes: ReadonlyMap<string, AttributeProto>;
  /** Stands before the names of its nodes. */
  readonly prefix: string;
}

class Inliner {
  private nodes = 0;
  private bytes = 0;

  constructor(
    private readonly model: ModelProto,
    private readonly functions: ReadonlyMap<string, FunctionProto>,
    private readonly fresh: (stem: string) => string,
  ) {}

  /** The nodes with every call replaced. @param calls the functions that these nodes are in */
  expanded(nodes: readonly NodeProto[], calls: readonly string[]): NodeProto[] {
    return nodes.flatMap((node) => {
      for (const graph of subgraphsOf(node)) graph.node = this.expanded(graph.node, calls);
      const called = this.functions.get(keyOfCall(node));
      return called === undefined
        ? [node]
        : this.expanded(this.body(called, node, calls), [...calls, keyOf(called)]);
    });
  }

  private body(called: FunctionProto, node: NodeProto, calls: readonly string[]): readonly NodeProto[] {
    const fails = (code: "bad-model" | "unsupported", problem: string, expected: string, found: string) =>
      new PenniError(code, problem, { node: node.name, op: node.opType, expected, found });
    if (calls.includes(keyOf(called)) || calls.length >= DEEPEST_CALL) {
      const path = `${calls.length + 1} calls inside each other`;
      throw fails("bad-model", "the model's functions call each other in a circle", "an end", path);
    }
    const given = node.input.filter((name) => name !== "").length;
    if (node.input.length > called.input.length && given > called.input.length) {
      const [expected, found] = [`at most ${called.input.length} inputs`, `${given}`];
      throw fails("bad-model", "a call does not fit the model's function", expected, found);
    }
    checkFunctionOpsets(this.model, called, node);
    const call = this.call(called, node);
    const copied = called.node.map((inner) => this.copy(inner, call));
    if (this.nodes > MOST_NODES || this.bytes > MOST_CONSTANT_BYTES) {
      const expected = `at most ${MOST_NODES} nodes with ${MOST_CONSTANT_BYTES} bytes of constants`;
      throw fails("unsupported", "the model's functions make too large a model", expected, "more");
    }
    return [...copied, ...passedOn(called, node, call)];
  }

  private call(called: FunctionProto, node: NodeProto): Call {
    const described = node.name === "" ? nameAt(node.output, 0) : node.name;
    const prefix = described.length > LONGEST_PREFIX ? node.opType : described;
    const names = new Map(called.input.map((formal, index) => [formal, nameAt(node.input, index)]));
    called.output.forEach((formal, index) => {
      const actual = nameAt(node.output, index);
      if (!names.has(formal) && actual !== "") names.set(formal, actual);
    });
    for (const formal of called.node.flatMap(({ output }) => output)) {
      if (formal !== "" && !names.has(formal)) names.set(formal, this.fresh(`${prefix}/${formal}`));
      this.bytes += formal.length;
    }
    const attributes = new Map(
      [...called.attributeProto, ...node.attribute].map((each) => [each.name, each]),
    );
    return { names, attributes, prefix };
  }

  private copy(node: NodeProto, call: Call): NodeProto {
    this.nodes++;
    const rename = (name: string): string => call.names.get(name) ?? name;
    const copied = create(NodeProtoSchema, {
      name: node.name === "" ? "" : `${call.prefix}/${node.name}`,
      opType: node.opType,
      domain: node.domain,
      overload: node.overload,
      docString: node.docString,
      input: node.input.map(rename),
      output: node.output.map(rename),
      attribute: node.attribute.flatMap((attribute) => this.attribute(attribute, call)),
    });
    copied.$unknown = node.$unknown;
    return copied;
  }

  /** The attribute with what it refers to, or with its subgraphs in the call's names; none where the call gives none. */
  private attribute(attribute: AttributeProto, call: Call): readonly AttributeProto[] {
    const { name, refAttrName, g, graphs } = attribute;
    if (refAttrName !== "") {
      const given = call.attributes.get(refAttrName);
      if (given === undefined) return [];
      const copied = clone(AttributeProtoSchema, given);
      copied.name = name;
      this.bytes += orDefault(copied.t?.rawData.byteLength, 0);
      return [copied];
    }
    this.bytes += orDefault(attribute.t?.rawData.byteLength, 0);
    if (g === undefined && graphs.length === 0) return [attribute];
    const { type, docString } = attribute;
    const copied = create(AttributeProtoSchema, { name, type, docString });
    if (g !== undefined) copied.g = this.subgraph(g, call);
    copied.graphs = graphs.map((each) => this.subgraph(each, call));
    return [copied];
  }

  private subgraph(graph: GraphProto, outer: Call): GraphProto {
    const names = new Map(outer.names);
    for (const name of definedIn(graph))
      if (name !== "") names.set(name, this.fresh(`${outer.prefix}/${name}`));
    const call: Call = { ...outer, names };
    const renamed = <Named extends { name: string }>(each: Named): Named => {
      each.name = names.get(each.name) ?? each.name;
      return each;
    };
    const infos = (list: GraphProto["input"]) =>
      list.map((info) => renamed(clone(ValueInfoProtoSchema, info)));
    return create(GraphProtoSchema, {
      name: graph.name,
      node: graph.node.map((node) => this.copy(node, call)),
      initializer: graph.initializer.map((tensor) => renamed(clone(TensorProtoSchema, tensor))),
      sparseInitializer: graph.sparseInitializer.map((tensor) => {
        const copied = clone(SparseTensorProtoSchema, tensor);
        if (copied.values !== undefined) renamed(copied.values);
        return copied;
      }),
      input: infos(graph.input),
      output: infos(graph.output),
      valueInfo: infos(graph.valueInfo),
    });
  }
}

/** A name among the inputs or outputs of a node; "" where it is omitted. */
const nameAt = (names: readonly string[], index: number): string => orDefault(names[index], "");

/** Identity nodes for outputs that are inputs of the function, or an output of it for the second time. */
function passedOn(called: FunctionProto, node: NodeProto, { names, prefix }: Call): readonly NodeProto[] {
  return called.output.flatMap((formal, index) => {
    const actual = nameAt(node.output, index);
    const inside = orDefault(names.get(formal), "");
    if (actual === "" || actual === inside) return [];
    const name = `${prefix}/${actual}`;
    return [create(NodeProtoSchema, { name, opType: "Identity", input: [inside], output: [actual] })];
  });
}
