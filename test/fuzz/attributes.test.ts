import assert from "node:assert/strict";
import { test } from "node:test";
import { float, floats, int, ints, tensor, text } from "../../src/graph/attributes.js";
import { float32Tensor, numericTensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Node } from "../../src/graph/types.js";
import { tensorType } from "../../src/ops/inference/infer.js";
import { standardOperators } from "../../src/ops/inference/registry.js";
import { takeThrough } from "../../support/fuzz/passage.js";
import { graphOf, nodeOf } from "../../support/random_graph.js";
import { contractCases } from "../compile/cases/index.js";
import { opsetForms } from "../ops/opset_forms.js";

interface Sample {
  readonly graph: Graph;
  readonly node: Node;
}

/** Graphs with every operator that Penni knows: all nodes of the compiler's cases, and of every form in every opset. */
function samples(): readonly Sample[] {
  const graphs = [
    ...contractCases.map(({ graph }) => graph),
    ...opsetForms.flatMap(({ op, x, constants = [], attributes, outputs = 1, from = 9, to = 21 }) => {
      const names = constants.map((constant, index) => (constant === undefined ? "" : `c${index}`));
      const results = Array.from({ length: outputs }, (_, index) => `y${index}`);
      return [...new Set([from, to])].map((opset) =>
        graphOf({
          opsets: new Map([["", opset]]),
          inputs: [{ name: "x", type: tensorType(x) }],
          outputs: results.map((name) => ({ name, type: undefined })),
          nodes: [nodeOf(op, op === "Constant" ? [] : ["x", ...names], results, attributes)],
          initializers: new Map(
            constants.flatMap((constant, index) => (constant === undefined ? [] : [[`c${index}`, constant]])),
          ),
        }),
      );
    }),
  ];
  const seen = new Map<string, Sample>();
  for (const graph of graphs) {
    for (const node of graph.nodes) {
      const key = [node.op, node.inputs.length, graph.opsets.get(""), ...node.attributes.keys()].join();
      if (!seen.has(key)) seen.set(key, { graph, node });
    }
  }
  return [...seen.values()];
}

/** Numbers that mean nothing to most attributes. */
const NUMBERS = [0, -1, 7, -(2 ** 31)];

const replacements: readonly (Attribute | undefined)[] = [
  undefined,
  ...NUMBERS.map(int),
  ...[0, -1, 1e38, Number.NaN].map(float),
  ...[[], [0], [-1, -1], [1, 1, 1, 1, 1, 1, 1, 1]].map(ints),
  floats([]),
  floats([Number.NaN, 0, -1, 1e38]),
  text(""),
  text("nonsense"),
  tensor(float32Tensor([0], [])),
];

function withAttribute({ graph, node }: Sample, name: string, value: Attribute | undefined): Graph {
  const attributes = new Map(node.attributes);
  if (value === undefined) attributes.delete(name);
  else attributes.set(name, value);
  return { ...graph, nodes: graph.nodes.map((each) => (each === node ? { ...node, attributes } : each)) };
}

/** The same graph, of whose inputs not even the rank is known. */
function withoutShapes(graph: Graph): Graph {
  const inputs = graph.inputs.map(({ name, type }) => {
    return { name, type: { elementType: type?.elementType ?? "float32", shape: undefined } } as const;
  });
  return { ...graph, inputs };
}

/** The same graph, whose inputs are constants and fold away. */
function ofConstants(graph: Graph): Graph {
  const constants = graph.inputs.flatMap(({ name, type }) => {
    const dims = (type?.shape ?? []).map((dim) => (typeof dim === "number" ? dim : 1));
    const count = dims.reduce((product, dim) => product * dim, 1);
    const values = numericTensor(type?.elementType ?? "float32", dims, Array<number>(count).fill(1));
    return values === undefined ? [] : [[name, values] as const];
  });
  const given = new Set(constants.map(([name]) => name));
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => !given.has(name)),
    initializers: new Map([...graph.initializers, ...constants]),
  };
}

/** The same graph behind operators of somebody else's, of whose results nothing is known. */
function behindUnknown(graph: Graph): Graph {
  const inputs = graph.inputs.map((info) => ({ ...info, name: `${info.name} before` }));
  const unknown = graph.inputs.map(({ name }) => ({
    ...nodeOf("Unknown", [`${name} before`], [name]),
    name: `unknown ${name}`,
    domain: "somebody",
  }));
  const opsets = new Map([...graph.opsets, ["somebody", 1] as const]);
  return { ...graph, inputs, opsets, nodes: [...unknown, ...graph.nodes] };
}

const all = samples();

/** The first occurs only in training steps of Penni's own; of the others nothing is compiled. */
const withoutSample: ReadonlySet<string> = new Set([
  "MaxUnpool",
  "NonMaxSuppression",
  "NonZero",
  "ReverseSequence",
]);

test("there is a sample of every operator", () => {
  const found = new Set(all.map(({ node }) => node.op));
  const missing = standardOperators.filter((op) => !found.has(op) && !withoutSample.has(op));
  assert.deepEqual(missing, []);
});

for (const op of [...new Set(all.map(({ node }) => node.op))].sort()) {
  const ours = all.filter(({ node }) => node.op === op && node.attributes.size > 0);
  if (ours.length === 0) continue;
  test(`${op}: an attribute that is missing, of another type or senseless is refused or understood`, () => {
    const known = new Set<string>();
    for (const sample of ours) {
      for (const name of sample.node.attributes.keys()) {
        // What an attribute defaults to differs by opset and by the others; a senseless value is one in all of them.
        const values = known.has(name) ? [undefined] : replacements;
        known.add(name);
        for (const value of values) {
          const graph = withAttribute(sample, name, value);
          const what = `${name} = ${value === undefined ? "missing" : `${value.kind} ${value.value}`}`;
          try {
            takeThrough(graph);
            if (value !== undefined) continue;
            for (const change of [withoutShapes, behindUnknown, ofConstants]) takeThrough(change(graph));
          } catch (error) {
            assert.fail(
              `${what}, opset ${graph.opsets.get("")}: ${error instanceof Error ? error.stack : error}`,
            );
          }
        }
      }
    }
  });
}
