import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Graph } from "../../src/graph/types.js";
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../src/onnx/read.js";
import { declare, modelBytes } from "../onnx/models.js";

export type NodeInit = Exclude<MessageInitShape<typeof NodeProtoSchema>, { $typeName: string }>;
type TensorInit = Exclude<MessageInitShape<typeof TensorProtoSchema>, { $typeName: string }>;
type GraphInit = Exclude<MessageInitShape<typeof GraphProtoSchema>, { $typeName: string }>;

const [FLOAT, INT64, BOOL] = [1, 7, 9];

export const node = (op: string, inputs: string, outputs: string, more: NodeInit = {}): NodeInit => ({
  name: outputs,
  opType: op,
  input: inputs.split(" ").map((name) => (name === "-" ? "" : name)),
  output: outputs.split(" "),
  ...more,
});
export const int = (name: string, i: bigint) => ({ name, type: AttributeType.INT, i });
export const subgraph = (name: string, g: GraphInit) => ({
  name,
  type: AttributeType.GRAPH,
  g: { name, ...g },
});
export const long = (name: string, value: bigint) => ({
  name,
  dims: [],
  dataType: INT64,
  int64Data: [value],
});

const float = (name: string, value: number) => ({ name, dims: [], dataType: FLOAT, floatData: [value] });

const scalar = (name: string, type: number) => declare(name, type, []);

/** Some turns over `from`, each of what `body` makes of "v" ("w"), while `condition` makes "goOn" true: for ever. */
export const loop = (
  turns: string,
  from: string,
  to: string,
  body = [node("Neg", "v", "w")],
  condition = [node("Identity", "go", "goOn")],
): NodeInit =>
  node("Loop", `${turns} true ${from}`, to, {
    attribute: [
      subgraph("body", {
        node: [...condition, ...body],
        input: [scalar("turn", INT64), scalar("go", BOOL), { name: "v" }],
        output: [scalar("goOn", BOOL), { name: "w" }],
      }),
    ],
  });

/** A loop over `from` that carries a number along, from 0 on, and ends as `nodes` ("number" to "next" and "goOn") say. */
export const counting = (from: string, to: string, nodes: readonly NodeInit[]): NodeInit =>
  node("Loop", `- true first ${from}`, `last ${to}`, {
    attribute: [
      subgraph("body", {
        node: [node("Neg", "v", "w"), ...nodes],
        input: [scalar("turn", INT64), scalar("go", BOOL), scalar("number", INT64), { name: "v" }],
        output: [scalar("goOn", BOOL), scalar("next", INT64), { name: "w" }],
      }),
    ],
  });

export const choose = (
  condition: string,
  to: string,
  nodes: NodeInit[],
  initializer: GraphInit["initializer"] = [],
) =>
  node("If", condition, to, {
    attribute: [
      subgraph("then_branch", { node: nodes, output: [{ name: "b" }], initializer }),
      subgraph("else_branch", { node: [node("Abs", "n", "b")], output: [{ name: "b" }] }),
    ],
  });

export const scan = (from: string, to: string): NodeInit =>
  node("Scan", from, to, {
    attribute: [
      int("num_scan_inputs", 1n),
      subgraph("body", { node: [node("Neg", "v", "w")], input: [{ name: "v" }], output: [{ name: "w" }] }),
    ],
  });

/** n, of a shape that only a run tells; what is given, from n to l; y = relu l. */
export function around(nodes: readonly NodeInit[], more: readonly TensorInit[] = []): Graph {
  const graph = decodeModel(
    modelBytes({
      node: [node("Sinh", "x", "n"), ...nodes, node("Relu", "l", "y")],
      input: [declare("x", FLOAT, [1, 4, 3])],
      output: [{ name: "n" }, { name: "y" }],
      initializer: [
        long("five", 5n),
        long("half", 2n ** 31n),
        long("endless", 2n ** 62n),
        long("first", 0n),
        long("fall", -20n),
        long("one", 1n),
        long("wide", 2n ** 53n),
        float("large", 2 ** 24),
        float("oneReal", 1),
        float("larger", 2 ** 24 + 2),
        { name: "true", dims: [], dataType: BOOL, int32Data: [1] },
        ...more,
        { name: "empty", dims: [2n ** 17n, 0n], dataType: FLOAT, rawData: new Uint8Array() },
      ],
    }),
  );
  return { ...graph, inputs: [{ name: "x", type: { elementType: "float32", shape: ["N", 4, 3] } }] };
}

export const batchOfX = [node("Shape", "x", "shape"), node("Gather", "shape first", "batch")];
export const ofData = (to: string, type: bigint): readonly NodeInit[] => [
  node("ReduceSum", "x", "sum", { attribute: [int("keepdims", 0n)] }),
  node("Cast", "sum", to, { attribute: [int("to", type)] }),
];
