import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import { float, floats, int, ints, tensor, text } from "../../src/graph/attributes.js";
import { elementCount, float32Tensor, int64Tensor, scalarTensor } from "../../src/graph/tensor.js";
import type { Attribute, Graph, Node, Tensor } from "../../src/graph/types.js";
import { decompose } from "../../src/method/decompose.js";
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { encodeModel } from "../../src/onnx/write.js";

/** A healthy model to damage. */
export interface SeedModel {
  readonly name: string;
  readonly bytes: () => Uint8Array;
}

/** The healthy models that cases start from. */
export interface Stock {
  /** Made on the spot. */
  readonly own: readonly SeedModel[];
  /** Real ones; they take a hundred times as long, so fewer cases start from them. */
  readonly real: readonly SeedModel[];
}

/** Numbers in [-1, 1] that look random enough. */
function wave(...dims: number[]): Tensor {
  return float32Tensor(
    dims,
    Array.from({ length: elementCount(dims) }, (_, at) => Math.sin(1 + 1.7 * at + dims.length)),
  );
}

function positive(...dims: number[]): Tensor {
  return float32Tensor(
    dims,
    Array.from({ length: elementCount(dims) }, (_, at) => 1 + (at % 3)),
  );
}

const numbers = (...values: number[]): Tensor => int64Tensor([values.length], values);

/** `op("Conv", "x w b", "y")`; "-" stands for an omitted input. */
function op(
  type: string,
  inputs: string,
  outputs: string,
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = "",
): Node {
  const names = (list: string): string[] =>
    list === "" ? [] : list.split(" ").map((name) => (name === "-" ? "" : name));
  return {
    name: `${outputs.split(" ")[0]}/${type}`,
    op: type,
    domain,
    inputs: names(inputs),
    outputs: names(outputs),
    attributes: new Map(Object.entries(attributes)),
  };
}

function graph(
  opset: number,
  nodes: readonly Node[],
  initializers: Readonly<Record<string, Tensor>>,
  outputs: readonly string[] = ["y"],
): Graph {
  return {
    name: "seed",
    opsets: new Map([
      ["", opset],
      ["own", 1],
    ]),
    inputs: [{ name: "x", type: { elementType: "float32", shape: ["N", 3, 8, 8] } }],
    outputs: outputs.map((name) => ({ name, type: undefined })),
    nodes,
    initializers: new Map(Object.entries(initializers)),
    valueInfo: new Map([["c1", { name: "c1", type: { elementType: "float32", shape: ["N", 4, 8, 8] } }]]),
    metadata: new Map([
      ["penni.preprocessing", '{"mean":[0,0,0],"std":[1,1,1],"scale":1,"layout":"NCHW","colour":"rgb"}'],
      ["penni.classNames", '["a","b","c","d","e"]'],
    ]),
  };
}

const same = { pads: ints([1, 1, 1, 1]), kernel_shape: ints([3, 3]) };

/** Convolutions, normalisations, a residual, a depthwise layer, pools, a classifier. */
function classifier(): Graph {
  return graph(
    17,
    [
      op("Conv", "x w1 b1", "c1", same),
      op("BatchNormalization", "c1 gamma beta mean variance", "n1", { epsilon: float(1e-3) }),
      op("Relu", "n1", "r1"),
      op("Conv", "r1 w2", "c2", same),
      op("Add", "c2 r1", "a1"),
      op("Clip", "a1 low high", "k1"),
      op("MaxPool", "k1", "p1", { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
      op("Conv", "p1 w3", "c3", { ...same, group: int(4), strides: ints([2, 2]) }),
      op("AveragePool", "c3", "p2", { kernel_shape: ints([2, 2]), auto_pad: text("SAME_UPPER") }),
      op("Conv", "p2 w4 b4", "c4"),
      op("GlobalAveragePool", "c4", "g"),
      op("Flatten", "g", "f"),
      op("Gemm", "f w5 b5", "l", { transB: int(1) }),
      op("Softmax", "l", "y", { axis: int(1) }),
    ],
    {
      w1: wave(4, 3, 3, 3),
      b1: wave(4),
      gamma: wave(4),
      beta: wave(4),
      mean: wave(4),
      variance: positive(4),
      w2: wave(4, 4, 3, 3),
      low: scalarTensor(0),
      high: scalarTensor(6),
      w3: wave(4, 1, 3, 3),
      w4: wave(6, 4, 1, 1),
      b4: wave(6),
      w5: wave(10, 6),
      b5: wave(10),
    },
  );
}

/** Groups, a channel shuffle, a squeeze-and-excitation block, Split, Concat, Resize, ConvTranspose, two outputs. */
function blocks(): Graph {
  return graph(
    13,
    [
      op("Conv", "x w1 b1", "c1", { ...same }),
      op("Split", "c1 halves", "s1 s2", { axis: int(1) }),
      op("Concat", "s2 s1", "j", { axis: int(1) }),
      op("Reshape", "j grouped", "h1"),
      op("Transpose", "h1", "h2", { perm: ints([0, 2, 1, 3, 4]) }),
      op("Reshape", "h2 joined", "h3"),
      op("Conv", "h3 w2", "c2", { ...same, group: int(2) }),
      op("ReduceMean", "c2", "m", { axes: ints([2, 3]) }),
      op("Conv", "m w3", "e1"),
      op("HardSigmoid", "e1", "e2"),
      op("Mul", "c2 e2", "v"),
      op("PRelu", "v slope", "q"),
      op("Resize", "q - scales", "u", { mode: text("nearest") }),
      op("ConvTranspose", "u w4", "t", { strides: ints([2, 2]) }),
      op("Pad", "t pads fill", "d"),
      op("Slice", "d starts ends axes steps", "z"),
      op("Sigmoid", "z", "y"),
      op("LeakyRelu", "c2", "y2", { alpha: float(0.1) }),
    ],
    {
      w1: wave(4, 3, 3, 3),
      b1: wave(4),
      halves: numbers(2, 2),
      grouped: numbers(0, 2, 2, 8, 8),
      joined: numbers(0, 4, 8, 8),
      w2: wave(4, 2, 3, 3),
      w3: wave(4, 4, 1, 1),
      slope: wave(4, 1, 1),
      scales: float32Tensor([4], [1, 1, 2, 2]),
      w4: wave(4, 2, 2, 2),
      pads: numbers(0, 1, 0, 0, 0, 1, 1, 1),
      fill: scalarTensor(0.5),
      starts: numbers(1, 0),
      ends: numbers(3, 30),
      axes: numbers(1, 2),
      steps: numbers(1, 2),
    },
    ["y", "y2"],
  );
}

/** What exporters leave around reshapes: arithmetic on shapes and constants. */
function soup(): Graph {
  return graph(
    13,
    [
      op("Conv", "x w1 b1", "c1", same),
      op("Shape", "c1", "dims"),
      op("Constant", "", "zero", { value: tensor(int64Tensor([], [0])) }),
      op("Constant", "", "ratio", { value_float: float(2) }),
      op("Gather", "dims zero", "batch"),
      op("Unsqueeze", "batch first", "batches"),
      op("Slice", "dims one four", "image"),
      op("ReduceProd", "image", "unheard", {}, "own"),
      op("Mul", "image image", "squares"),
      op("Concat", "batches minus", "flat", { axis: int(0) }),
      op("Reshape", "c1 flat", "f"),
      op("ConstantOfShape", "image", "filled", { value: tensor(float32Tensor([1], [1])) }),
      op("Expand", "small image", "large"),
      op("Range", "nought ten step", "count"),
      op("Cast", "count", "counted", { to: int(1) }),
      op("ReduceSum", "counted first", "total", { keepdims: int(0) }),
      op("Equal", "squares image", "equal"),
      op("Where", "equal squares image", "chosen"),
      op("Tile", "small twice", "tiled"),
      op("OneHot", "zero ten_once pair", "hot"),
      op("Size", "f", "elements"),
      op("Concat", "batches image", "back", { axis: int(0) }),
      op("Reshape", "f back", "b"),
      op("Add", "b large", "s1"),
      op("Sub", "s1 filled", "s2"),
      op("Mul", "s2 total", "s3"),
      op("Squeeze", "b4 first", "bias"),
      op("Transpose", "stored", "turned", { perm: ints([2, 1, 0]) }),
      op("Div", "s3 turned", "s4"),
      op("Pow", "s4 ratio", "s5"),
      op("Dropout", "s5", "s6"),
      op("MatMul", "s6 w2", "y"),
    ],
    {
      w1: wave(4, 3, 3, 3),
      b1: wave(4),
      first: numbers(0),
      one: numbers(1),
      four: numbers(4),
      minus: numbers(-1),
      small: wave(1, 1, 1),
      nought: int64Tensor([], [0]),
      ten: int64Tensor([], [10]),
      ten_once: numbers(10),
      step: int64Tensor([], [1]),
      twice: numbers(2, 2, 2),
      pair: float32Tensor([2], [0, 1]),
      b4: wave(1, 4),
      stored: wave(1, 1, 4),
      w2: wave(8, 5),
    },
  );
}

/** Operator set 9: parameters in attributes, initializers among the inputs. */
function old(): Graph {
  return graph(
    9,
    [
      op("Conv", "x w1 b1", "c1", same),
      op("BatchNormalization", "c1 gamma beta mean variance", "n1", { momentum: float(0.9) }),
      op("Clip", "n1", "k", { min: float(0), max: float(6) }),
      op("Dropout", "k", "k2 mask", { ratio: float(0.5) }),
      op("Pad", "k2", "p", { pads: ints([0, 0, 1, 1, 0, 0, 1, 1]), value: float(1) }),
      op("Slice", "p", "s", { starts: ints([1]), ends: ints([9]), axes: ints([2]) }),
      op("Upsample", "s scales", "u", { mode: text("nearest") }),
      op("ReduceSum", "u", "r", { axes: ints([3]), keepdims: int(1) }),
      op("Squeeze", "r", "q", { axes: ints([3]) }),
      op("Unsqueeze", "q", "q2", { axes: ints([3]) }),
      op("Split", "q2", "h1 h2", { axis: int(1), split: ints([1, 3]) }),
      op("Softmax", "h2", "t", { axis: int(1) }),
      op("TopK", "t", "values indices", { k: int(1), axis: int(2) }),
      op("Flatten", "values", "y"),
    ],
    {
      w1: wave(4, 3, 3, 3),
      b1: wave(4),
      gamma: wave(4),
      beta: wave(4),
      mean: wave(4),
      variance: positive(4),
      scales: float32Tensor([4], [1, 1, 2, 2]),
    },
  );
}

/** Every element type, strings, a custom domain, lists of every kind. */
function types(): Graph {
  const typed = (type: Tensor["type"], bytes: number): Tensor => ({
    type,
    dims: [2],
    bytes: new Uint8Array(2 * bytes).fill(1),
  });
  const initializers: Record<string, Tensor> = {
    w1: wave(4, 3, 3, 3),
    b1: wave(4),
    f64: typed("float64", 8),
    f16: typed("float16", 2),
    bf16: typed("bfloat16", 2),
    i8: typed("int8", 1),
    i16: typed("int16", 2),
    i32: typed("int32", 4),
    u8: typed("uint8", 1),
    u16: typed("uint16", 2),
    u32: typed("uint32", 4),
    u64: typed("uint64", 8),
    bool: typed("bool", 1),
    words: { type: "string", dims: [1], bytes: new Uint8Array(0), strings: [Uint8Array.of(104, 105)] },
  };
  const casts = Object.keys(initializers).slice(2, -1);
  return graph(
    13,
    [
      op("Conv", "x w1 b1", "c1", same),
      ...casts.map((name) => op("Cast", name, `${name}_cast`, { to: int(1) })),
      op("Sum", casts.map((name) => `${name}_cast`).join(" "), "sum"),
      op(
        "Custom",
        "c1 words",
        "z",
        { k: ints([1, 2]), t: text("t"), f: floats([1, 2]), v: tensor(wave(2)) },
        "own",
      ),
      op("QuantizeLinear", "c1 scale", "y2"),
      op("ReduceMax", "c1", "m"),
      op("Add", "m sum", "y"),
    ],
    { ...initializers, scale: scalarTensor(0.1) },
    ["y", "y2", "z"],
  );
}

/** y = if c then x + w else relu(x), in subgraphs of two levels. */
function branches(): Uint8Array {
  const value = (name: string) => ({ name });
  const branch = (name: string, opType: string, input: string[], nested?: object) => ({
    name,
    node: [{ opType, input, output: [`${name}_out`], attribute: nested === undefined ? [] : [nested] }],
    output: [value(`${name}_out`)],
  });
  const attribute = (name: string, g: object) => ({ name, type: AttributeType.GRAPH, g });
  const inner = attribute("then_branch", branch("inner", "Add", ["x", "w"]));
  const floatType = { case: "tensorType" as const, value: { elemType: 1 } };
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: "", version: 13n }],
      graph: {
        name: "branches",
        input: [{ name: "x", type: { value: floatType } }],
        initializer: [
          { name: "c", dims: [], dataType: 9, int32Data: [1] },
          { name: "w", dims: [2n], dataType: 1, floatData: [1, 2] },
        ],
        node: [
          {
            opType: "If",
            input: ["c"],
            output: ["y"],
            attribute: [
              attribute("then_branch", branch("outer", "If", ["c"], inner)),
              attribute("else_branch", branch("other", "Relu", ["x"])),
            ],
          },
        ],
        output: [{ name: "y", type: { value: floatType } }],
      },
    }),
  );
}

/** The classifier with three kernels in four zeroed, its zeros left out of the file. */
function sparse(): Uint8Array {
  const dense = decompose(classifier(), { basis: 2 });
  const zeroed = [...dense.initializers].map(([name, weights]): [string, Tensor] => {
    if (weights.type !== "float32" || weights.dims.length < 2) return [name, weights];
    const kept = Array.from({ length: elementCount(weights.dims) }, (_, at) => (at % 4 === 0 ? 1 + at : 0));
    return [name, float32Tensor(weights.dims, kept)];
  });
  return encodeModel({ ...dense, initializers: new Map(zeroed) }, { sparse: true });
}

/** Models made on the spot: small, so that a case takes milliseconds. */
export const ownModels: readonly SeedModel[] = [
  { name: "classifier", bytes: () => encodeModel(classifier()) },
  { name: "blocks", bytes: () => encodeModel(blocks()) },
  { name: "soup", bytes: () => encodeModel(soup()) },
  { name: "old", bytes: () => encodeModel(old()) },
  { name: "types", bytes: () => encodeModel(types()) },
  { name: "branches", bytes: branches },
  { name: "sparse", bytes: sparse },
  { name: "decomposed", bytes: () => encodeModel(decompose(classifier(), { basis: 5 })) },
];

const shared = fileURLToPath(new URL("../../../../shared/models/", import.meta.url));

/** Real models of ../shared, by file; none where the folder is absent. */
function sharedModels(): readonly SeedModel[] {
  return ["", "zoo/"].flatMap((folder) => {
    const path = `${shared}${folder}`;
    if (!existsSync(path)) return [];
    return readdirSync(path)
      .filter((file) => file.endsWith(".onnx"))
      .sort()
      .map((file) => ({ name: `${folder}${file}`, bytes: () => readFileSync(`${path}${file}`) }));
  });
}

/** The healthy models to choose from: with or without those of ../shared. */
export const stocks: Readonly<Record<"own" | "all", Stock>> = {
  own: { own: ownModels, real: [] },
  all: { own: ownModels, real: sharedModels() },
};
