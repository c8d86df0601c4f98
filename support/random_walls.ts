import { create, toBinary } from "@bufbuild/protobuf";
import { float, int, text } from "../src/graph/attributes.js";
import { float32Tensor, int64Tensor } from "../src/graph/tensor.js";
import type { Attribute } from "../src/graph/types.js";
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
} from "../src/onnx/gen/onnx_pb.js";
import { reshape, transpose } from "../src/ops/core/emit.js";
import type { Network } from "./network.js";
import { pick } from "./random_convolutions.js";
import { mapDims, type Step } from "./random_network.js";

/**
 * Steps of random networks that nothing may be guessed about: operators Penni does not know,
 * subgraphs, sequences, ... All are continuous: rounding must not decide.
 */

/** A node whose output has the type of the map; the file declares it, as exporters do. */
function sameType(
  { b }: Network,
  x: string,
  op: string,
  inputs: readonly string[],
  attributes: Record<string, Attribute> = {},
  domain = "",
): string {
  const type = b.types.get(x);
  return b.emit(op, inputs, { attributes, domain, ...(type === undefined ? {} : { types: [type] }) });
}

const unknownOperator: Step = (state, x, at) => {
  const { net } = state;
  const [channels] = mapDims(state, x);
  const ways: readonly (() => string)[] = [
    () => sameType(net, x, "Celu", [x]),
    () => sameType(net, x, "Shrink", [x], { lambd: float(0.2), bias: float(0.2) }),
    () => sameType(net, x, "CumSum", [x, net.b.constant("axis", int64Tensor([], [1]))]),
    () => sameType(net, x, "Mean", [x, x]),
    () =>
      sameType(net, x, "Einsum", [x, net.parameter("matrix", [channels, channels], -0.5, 0.5)], {
        equation: text("nchw,cd->ndhw"),
      }),
    () => sameType(net, x, "QuickGelu", [x], {}, "com.microsoft"),
    () => sameType(net, x, "LRN", [x], { size: int(3) }),
    () => sameType(net, x, "MeanVarianceNormalization", [x]),
  ];
  return pick(ways, at.other, () => x)();
};

/** A subgraph that reads the map from outside, as an attribute of If: `op` of the map and a parameter. */
function branch(name: string, op: string, inputs: readonly string[]): Attribute {
  const output = `${name}_out`;
  const graph = create(GraphProtoSchema, {
    name,
    node: [{ opType: op, input: [...inputs], output: [output] }],
    output: [{ name: output }],
  });
  const value = toBinary(
    AttributeProtoSchema,
    create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g: graph }),
  );
  return { kind: "opaque", value, captures: [...inputs] };
}

/** If: both branches read the map, one of them a parameter that a convolution may also use. */
const conditional: Step = (state, x, at) => {
  const { net } = state;
  const parameter = net.parameter("captured", [net.channels(x), 1, 1]);
  const condition = net.b.constant("condition", {
    type: "bool",
    dims: [],
    bytes: Uint8Array.of(at.flag ? 1 : 0),
  });
  const scaled = net.op("Mul", [x, parameter]);
  const name = net.b.freshName("branch");
  return sameType(net, x, "If", [condition], {
    then_branch: branch(`${name}_then`, "Add", [scaled, parameter]),
    else_branch: branch(`${name}_else`, "Relu", [at.dead[0] === true ? scaled : x]),
  });
};

/** The channels one by one as a sequence, and together again. */
const sequence: Step = ({ net }, x) => {
  const parts = net.b.emit("SplitToSequence", [x], { attributes: { axis: int(1) } });
  return sameType(net, x, "ConcatFromSequence", [parts], { axis: int(1) });
};

/** Every position attends to every other one. */
const attention: Step = (state, x) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  const flat = reshape(net.b, x, [0, channels, height * width]);
  const scores = net.op("MatMul", [transpose(net.b, flat, [0, 2, 1]), flat]);
  const weights = net.op("Softmax", [scores], { axis: int(-1) });
  return reshape(net.b, net.op("MatMul", [flat, weights]), [0, channels, height, width]);
};

/** The number of channels takes part in the arithmetic: x / C. */
const countsChannels: Step = ({ net }, x, at) => {
  const shape = net.op("Shape", [x]);
  const index = net.b.constant("index", int64Tensor([], [at.flag ? 1 : 2]));
  const count = net.op("Cast", [net.op("Gather", [shape, index])], { to: int(1) });
  return net.op("Div", [x, count]);
};

/** Channels sorted by value: all of them, a few. */
const sorted: Step = (state, x, at) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  const k = Math.min(at.size, channels);
  const outputs = ["values", "indices"].map((stem) => net.b.freshName(stem));
  return net.b.emit("TopK", [x, net.b.axes([k])], {
    outputs,
    attributes: { axis: int(1) },
    types: [{ elementType: "float32", shape: ["batch", k, height, width] }],
  });
};

const lpPool: Step = (state, x) => {
  const { net } = state;
  const [channels] = mapDims(state, x);
  return net.b.emit("GlobalLpPool", [x], {
    types: [{ elementType: "float32", shape: ["batch", channels, 1, 1] }],
  });
};

/** A constant map beside a map, where the batch is fixed to 2. */
const constantMap: Step = (state, x, at) => {
  const { net } = state;
  const [channels, height, width] = mapDims(state, x);
  const constant = net.b.constant(
    "map",
    float32Tensor([2, 2, height, width], net.uniform(4 * height * width)),
  );
  const isFixed = net.b.types.get(x)?.shape?.[0] === 2;
  if (isFixed) return net.op("Concat", at.flag ? [x, constant] : [constant, x], { axis: int(1) });
  return net.op("Add", [x, net.parameter("map", [1, channels, height, width])]);
};

export const wallSteps: readonly Step[] = [
  unknownOperator,
  unknownOperator,
  conditional,
  sequence,
  attention,
  countsChannels,
  sorted,
  lpPool,
  constantMap,
];
