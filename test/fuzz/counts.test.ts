import assert from "node:assert/strict";
import { test } from "node:test";
import { compileProgram } from "../../src/compile/compile.js";
import { wasmModule } from "../../src/compile/wasm/module.js";
import { wasmTarget } from "../../src/compile/wasm/target.js";
import { PenniError } from "../../src/graph/errors.js";
import { float32Data, float32Tensor, int64Data } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Tensor } from "../../src/graph/types.js";
import { takeThrough } from "../../support/fuzz/passage.js";
import { contractCases } from "../compile/cases/index.js";

// Sizes, steps, repetitions and the like are numbers in a file, and may be any. Whatever is made of them, at every
// stage, has a bound: these tests end, and the code stays short. `npm run fuzz` draws many more.

const HUGE = [2n ** 31n, 2n ** 62n, 1000n];

/** The same attribute with each of its integers, and with the last one, huge. */
function hugeAttributes(attribute: Attribute): readonly Attribute[] {
  if (attribute.kind === "int") return HUGE.map((value) => ({ kind: "int", value }));
  if (attribute.kind !== "ints" || attribute.value.length === 0) return [];
  const { value } = attribute;
  return HUGE.flatMap((huge): Attribute[] => [
    { kind: "ints", value: value.map(() => huge) },
    { kind: "ints", value: value.with(-1, huge) },
  ]);
}

/** The same small tensor of sizes, or of scales, with huge numbers. */
function hugeTensors(tensor: Tensor): readonly Tensor[] {
  if (tensor.type === "int64" && tensor.bytes.length > 0) {
    const data = int64Data(tensor);
    return HUGE.flatMap((huge) =>
      [data.map(() => huge), data.with(-1, huge)].map((changed) => ({
        ...tensor,
        bytes: new Uint8Array(changed.buffer),
      })),
    );
  }
  const isScale = tensor.type === "float32" && tensor.dims.length === 1 && (tensor.dims[0] ?? 0) === 4;
  if (!isScale) return [];
  return [1e9, 1e30].map((huge) => float32Tensor(tensor.dims, float32Data(tensor).with(-1, huge)));
}

function* variants(graph: Graph): Generator<Graph> {
  for (const [at, node] of graph.nodes.entries()) {
    for (const [name, attribute] of node.attributes) {
      for (const changed of hugeAttributes(attribute)) {
        const attributes = new Map([...node.attributes, [name, changed]]);
        yield { ...graph, nodes: graph.nodes.with(at, { ...node, attributes }) };
      }
    }
  }
  for (const [name, tensor] of graph.initializers) {
    for (const changed of hugeTensors(tensor)) {
      yield { ...graph, initializers: new Map([...graph.initializers, [name, changed]]) };
    }
  }
}

/** With its inputs as constants, so that nodes are computed beforehand. */
function constant(graph: Graph, feeds: ReadonlyMap<string, Tensor>): Graph {
  return { ...graph, inputs: [], initializers: new Map([...graph.initializers, ...feeds]) };
}

/** One case for each set of operators and attributes that hold numbers. */
const cases = new Map(
  contractCases
    .filter(({ graph }) => [...variants(graph)].length > 0)
    .map((each) => [each.graph.nodes.map((node) => [node.op, ...node.attributes.keys()]).join(), each]),
);

/** Code of a module; the largest of the unchanged cases has a hundredth of it. */
const LONGEST_CODE = 2 ** 20;

function checkCode(graph: Graph): void {
  try {
    const program = compileProgram(graph, wasmTarget);
    const code = wasmModule(program).length - program.weights.length;
    assert.ok(code <= LONGEST_CODE, `${code} bytes of code`);
  } catch (error) {
    assert.ok(error instanceof PenniError && error.code !== "internal", `${error}`);
  }
}

test("there are cases for what holds a number", () => assert.ok(cases.size > 40, `${cases.size}`));

for (const { name, graph, feeds } of cases.values()) {
  test(`huge numbers: ${name}`, () => {
    for (const variant of variants(graph)) {
      takeThrough(variant);
      checkCode(variant);
    }
    // What differs of a constant one is what is computed beforehand, which takes up to seconds each time.
    for (const variant of variants(constant(graph, feeds))) checkCode(variant);
  });
}
