import { create, toBinary } from "@bufbuild/protobuf";
import { int, ints, tensor } from "../src/graph/attributes.js";
import { elementCount, float32Tensor, int64Tensor } from "../src/graph/tensor.js";
import type { Attribute, Graph, Node, Tensor } from "../src/graph/types.js";
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
} from "../src/onnx/gen/onnx_pb.js";

/** Channels and side of the maps: small, so that what is measured is the graph and not the arithmetic. */
const CHANNELS = 3;
const SIDE = 4;

/** Collects a graph node by node, without checking anything. */
class Sketch {
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, Tensor>();
  readonly outputs: string[] = [];
  private seed = 1;

  op(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    const [output = ""] = this.several(op, inputs, 1, attributes);
    return output;
  }

  several(
    op: string,
    inputs: readonly string[],
    count: number,
    attributes: Record<string, Attribute> = {},
  ): readonly string[] {
    const name = `${op.toLowerCase()}${this.nodes.length}`;
    const outputs = Array.from({ length: count }, (_, index) => (count === 1 ? name : `${name}.${index}`));
    const node = { name, op, domain: "", inputs, outputs, attributes: new Map(Object.entries(attributes)) };
    this.nodes.push(node);
    return outputs;
  }

  parameter(dims: readonly number[], low = -1): string {
    const name = `p${this.initializers.size}`;
    this.initializers.set(
      name,
      float32Tensor(
        dims,
        Float32Array.from({ length: elementCount(dims) }, () => low + (1 - low) * this.random()),
      ),
    );
    return name;
  }

  integers(values: readonly number[]): string {
    const name = `i${this.initializers.size}`;
    this.initializers.set(name, int64Tensor([values.length], values));
    return name;
  }

  integer(value: number): string {
    const name = `i${this.initializers.size}`;
    this.initializers.set(name, int64Tensor([], [value]));
    return name;
  }

  bytes(values: readonly number[]): string {
    const name = `u${this.initializers.size}`;
    this.initializers.set(name, { type: "uint8", dims: [], bytes: Uint8Array.from(values) });
    return name;
  }

  conv(x: string, side = 3): string {
    const inputs = [x, this.parameter([CHANNELS, CHANNELS, side, side])];
    const pad = (side - 1) / 2;
    return this.op("Conv", inputs, { pads: ints([pad, pad, pad, pad]) });
  }

  graph(outputs: readonly string[]): Graph {
    const type = { elementType: "float32", shape: [1, CHANNELS, SIDE, SIDE] } as const;
    return {
      name: "growth",
      opsets: new Map([["", 17]]),
      inputs: [{ name: "x", type }],
      outputs: outputs.map((name) => ({ name, type: { elementType: "float32", shape: undefined } as const })),
      nodes: this.nodes,
      initializers: this.initializers,
      valueInfo: new Map(),
      metadata: new Map(),
    };
  }

  /** A multiplicative congruential generator (Park and Miller). */
  private random(): number {
    this.seed = (this.seed * 48271) % 2147483647;
    return this.seed / 2147483647;
  }
}

/** A branch of If with one node, which reads a value outside. */
function branch(name: string, op: string, x: string): Attribute {
  const output = `${name}_${x}`;
  const g = create(GraphProtoSchema, {
    name,
    node: [{ opType: op, input: [x], output: [output] }],
    output: [{ name: output }],
  });
  const value = toBinary(
    AttributeProtoSchema,
    create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g }),
  );
  return { kind: "opaque", value, captures: [x] };
}

const pairOfBranches = (x: string): Record<string, Attribute> => ({
  then_branch: branch("then_branch", "Relu", x),
  else_branch: branch("else_branch", "Neg", x),
});

type Build = (sketch: Sketch, nodes: number) => readonly string[];

/** Applies `step` until there are as many nodes as asked for. */
function chain(sketch: Sketch, nodes: number, step: (value: string, index: number) => string): string {
  let value = "x";
  for (let index = 0; sketch.nodes.length < nodes; index++) value = step(value, index);
  return value;
}

const unary = ["Relu", "Tanh", "Sigmoid", "Abs"] as const;

function normalization(sketch: Sketch, x: string): string {
  const statistics = [0.5, -1, -1, 0.5].map((low) => sketch.parameter([CHANNELS], low));
  return sketch.op("BatchNormalization", [x, ...statistics]);
}

const builds = {
  "convolutions in a row": (s, n) => [chain(s, n, (x) => s.conv(x))],
  "convolutions with normalization and activation": (s, n) => [
    chain(s, n, (x) => s.op("Relu", [normalization(s, s.conv(x))])),
  ],
  "activations in a row": (s, n) => [chain(s, n, (x, at) => s.op(unary[at % unary.length] ?? "Relu", [x]))],
  "parallel outputs": (s, n) =>
    Array.from({ length: n }, (_, at) => s.op(unary[at % unary.length] ?? "Relu", ["x"])),
  "parallel convolutions as outputs": (s, n) => Array.from({ length: n }, () => s.conv("x", 1)),
  "residual ladder": (s, n) => [chain(s, n, (x) => s.op("Add", [s.op("Relu", [s.conv(x)]), x]))],
  "residual blocks with normalization": (s, n) => [
    chain(s, n, (x) => {
      const inner = s.op("Relu", [normalization(s, s.conv(x))]);
      return s.op("Relu", [s.op("Add", [normalization(s, s.conv(inner)), x])]);
    }),
  ],
  "sums of pairs": (s, n) => {
    const values = ["x"];
    while (s.nodes.length < n) {
      const at = s.nodes.length;
      values.push(s.op(at % 2 === 0 ? "Add" : "Mul", [values.at(-1) ?? "x", values[at >> 1] ?? "x"]));
    }
    return values.slice(-1);
  },
  "branches that depend on data": (s, n) => [
    chain(s, n, (x) => {
      const isLarge = s.op("Greater", [s.op("ReduceMax", [x], { keepdims: int(0) }), s.parameter([])]);
      return s.op("If", [isLarge], pairOfBranches(x));
    }),
  ],
  "branches that a shape decides": (s, n) => [
    chain(s, n, (x) => {
      const channels = s.op("Gather", [s.op("Shape", [x]), s.integer(1)]);
      return s.op("If", [s.op("Equal", [channels, s.integer(CHANNELS)])], pairOfBranches(x));
    }),
  ],
  "quantized convolutions": (s, n) => {
    const [scale, zero] = [s.parameter([], 0.05), s.bytes([0])];
    return [
      chain(s, n, (x) => {
        const quantized = s.op("QuantizeLinear", [x, scale, zero]);
        return s.conv(s.op("DequantizeLinear", [quantized, scale, zero]));
      }),
    ];
  },
  "one Concat of many": (s, n) => {
    const parts = Array.from({ length: n - 2 }, () => s.op("Sigmoid", ["x"]));
    return [s.op("Relu", [s.op("Concat", parts, { axis: int(2) })])];
  },
  "a dense block (each layer reads few, Concat grows)": (s, n) => [
    chain(s, n, (x, at) =>
      at % 8 === 7
        ? s.op("Conv", [x, s.parameter([CHANNELS, CHANNELS + 7, 1, 1])])
        : s.op("Concat", [x, s.op("Conv", ["x", s.parameter([1, CHANNELS, 1, 1])])], { axis: int(1) }),
    ),
  ],
  "one value with many readers": (s, n) => {
    const root = s.op("Sigmoid", ["x"]);
    let sum = root;
    while (s.nodes.length < n) sum = s.op("Add", [sum, root]);
    return [sum];
  },
  "one weight with many readers": (s, n) => {
    const weight = s.parameter([CHANNELS, CHANNELS, 3, 3]);
    return [chain(s, n, (x) => s.op("Conv", [x, weight], { pads: ints([1, 1, 1, 1]) }))];
  },
  "shape arithmetic": (s, n) => {
    const one = s.integers([1]);
    let size = s.op("Gather", [s.op("Shape", ["x"]), s.integers([0])], { axis: int(0) });
    while (s.nodes.length < n - 2) size = s.op(s.nodes.length % 2 === 0 ? "Add" : "Sub", [size, one]);
    return [s.op("Reshape", ["x", s.op("Concat", [size, s.integers([-1])], { axis: int(0) })])];
  },
  "shapes in every layer": (s, n) => [
    chain(s, n, (x) => {
      const size = s.op("Shape", [x]);
      const first = s.op("Gather", [size, s.integers([0])]);
      const target = s.op("Concat", [first, s.integers([CHANNELS, SIDE, SIDE])], { axis: int(0) });
      return s.op("Reshape", [s.op("Sigmoid", [x]), target]);
    }),
  ],
  "Constant nodes": (s, n) => [
    chain(s, n, (x, at) =>
      s.op("Mul", [x, s.op("Constant", [], { value: tensor(float32Tensor([1], [1 + at / n])) })]),
    ),
  ],
  "arithmetic on constants": (s, n) => {
    let weight = s.parameter([CHANNELS, CHANNELS, 1, 1]);
    while (s.nodes.length < n - 1) weight = s.op("Mul", [weight, s.parameter([1], 0.9)]);
    return [s.op("Conv", ["x", weight])];
  },
  "large constants, each computed": (s, n) => [
    chain(s, n, (x) => {
      const weight = s.op("Exp", [s.parameter([CHANNELS, CHANNELS, 3, 3])]);
      return s.op("Conv", [x, weight], { pads: ints([1, 1, 1, 1]) });
    }),
  ],
  "initializers, one for each node": (s, n) => [chain(s, n, (x) => s.op("Mul", [x, s.parameter([1])]))],
  identities: (s, n) => [chain(s, n, (x, at) => s.op(at % 3 === 0 ? "Sigmoid" : "Identity", [x]))],
  "transposes that cancel": (s, n) => [
    chain(s, n, (x) => s.op("Transpose", [s.op("Transpose", [x], { perm: perm })], { perm: perm })),
  ],
  "transposes around each layer": (s, n) => [
    chain(s, n, (x) =>
      s.op("Transpose", [s.op("Sigmoid", [s.op("Transpose", [x], { perm: toLast })])], { perm: toFirst }),
    ),
  ],
  reshapes: (s, n) => {
    const [flat, whole] = [s.integers([1, -1]), s.integers([1, CHANNELS, SIDE, SIDE])];
    return [chain(s, n, (x) => s.op("Reshape", [s.op("Reshape", [x, flat]), whole]))];
  },
  "slices of slices": (s, n) => {
    const bounds = [0, SIDE, 2, 1].map((value) => s.integers([value]));
    return [chain(s, n, (x) => s.op("Sigmoid", [s.op("Slice", [x, ...bounds])]))];
  },
  "slices in a row": (s, n) => {
    const bounds = [0, SIDE - 1, 2, 1].map((value) => s.integers([value]));
    return [chain(s, n, (x) => s.op("Slice", [x, ...bounds]))];
  },
  "Split and Concat, nested": (s, n) => [
    chain(s, n, (x) => {
      const [a = "", b = "", c = ""] = s.several("Split", [x], CHANNELS, { axis: int(1) });
      return s.op("Concat", [s.op("Relu", [a]), b, c], { axis: int(1) });
    }),
  ],
  "one Split into many, all joined": (s, n) => {
    const column = s.op("Reshape", ["x", s.integers([-1, 1])]);
    const parts = s.several("Split", [s.op("Expand", [column, s.integers([1, n])])], n, { axis: int(1) });
    return [s.op("Sum", parts)];
  },
  "depthwise and pointwise": (s, n) => [
    chain(s, n, (x) =>
      s.conv(
        s.op("Conv", [x, s.parameter([CHANNELS, 1, 3, 3])], {
          group: int(CHANNELS),
          pads: ints([1, 1, 1, 1]),
        }),
        1,
      ),
    ),
  ],
  "decomposed convolutions": (s, n) => {
    const shape = s.integers([CHANNELS, CHANNELS, 3, 3]);
    return [
      chain(s, n, (x) => {
        const product = s.op("MatMul", [s.parameter([CHANNELS, CHANNELS, 2]), s.parameter([2, 9])]);
        return s.op("Conv", [x, s.op("Reshape", [product, shape])], { pads: ints([1, 1, 1, 1]) });
      }),
    ];
  },
  "dead channels": (s, n) => {
    const weight = (name: string): string => {
      s.initializers.set(name, float32Tensor([3, 3, 1, 1], [1, 0, 2, 0, 0, 0, 3, 0, 1]));
      return name;
    };
    return [s.op("Conv", [chain(s, n - 1, (x, at) => s.op("Conv", [x, weight(`w${at}`)])), weight("last")])];
  },
  "channels that die one layer at a time": (s, n) => {
    const alive = float32Tensor([3, 3, 1, 1], [1, 0, 2, 0, 1, 0, 3, 0, 1]);
    const end = float32Tensor([3, 3, 1, 1], [1, 0, 2, 1, 0, 2, 3, 0, 1]);
    s.initializers.set("end", end);
    return [
      s.op("Conv", [
        chain(s, n - 1, (x, at) => {
          s.initializers.set(`w${at}`, alive);
          return s.op("Relu", [s.op("Conv", [x, `w${at}`])]);
        }),
        "end",
      ]),
    ];
  },
  "padded convolutions of constant channels": (s, n) => [
    chain(s, n, (x, at) => {
      s.initializers.set(`b${at}`, float32Tensor([CHANNELS], [0.1, 0.5, 0.2]));
      const dense = Float32Array.from({ length: 81 }, (_, i) => (Math.floor(i / 27) === 1 ? 0 : Math.sin(i)));
      s.initializers.set(`w${at}`, float32Tensor([CHANNELS, CHANNELS, 3, 3], dense));
      return s.op("Relu", [s.op("Conv", [x, `w${at}`, `b${at}`], { pads: ints([1, 1, 1, 1]) })]);
    }),
  ],
  "fully connected": (s, n) => {
    const flat = s.op("Reshape", ["x", s.integers([1, -1])]);
    let value = s.op("Gemm", [flat, s.parameter([CHANNELS * SIDE * SIDE, 4])]);
    while (s.nodes.length < n) value = s.op("Gemm", [value, s.parameter([4, 4]), s.parameter([4])]);
    return [value];
  },
  poolings: (s, n) => [
    chain(s, n, (x) =>
      s.op("MaxPool", [x], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), strides: ints([1, 1]) }),
    ),
  ],
  "nodes that nobody reads": (s, n) => {
    chain(s, n - 1, (x) => s.op("Sigmoid", [x]));
    return [s.op("Relu", ["x"])];
  },
  "nodes in reverse": (s, n) => {
    const last = chain(s, n, (x) => s.op("Sigmoid", [x]));
    s.nodes.reverse();
    return [last];
  },
  "an unknown operator in every second place": (s, n) => [chain(s, n, (x) => s.conv(s.op("Mystery", [x])))],
} satisfies Readonly<Record<string, Build>>;

const perm = ints([0, 1, 3, 2]);
const toLast = ints([0, 2, 3, 1]);
const toFirst = ints([0, 3, 1, 2]);

export type StructureName = keyof typeof builds;

export const structureNames = Object.keys(builds) as readonly StructureName[];

export const isStructureName = (name: string): name is StructureName => Object.hasOwn(builds, name);

/** A graph of about as many nodes as asked for. */
export function buildStructure(name: StructureName, nodes: number): Graph {
  const sketch = new Sketch();
  const build: Build = builds[name];
  return sketch.graph(build(sketch, nodes));
}
