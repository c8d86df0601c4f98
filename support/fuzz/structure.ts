import { clone, create } from "@bufbuild/protobuf";
import type { Random } from "../../src/data/random.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../../src/onnx/gen/onnx_pb.js";
import { absurdFloats, absurdIntegers, absurdNames, chance, operatorNames, pick, pickAny } from "./draw.js";
import { absurdType, anyAttribute, attributeNames, garbage, graphDepth, someIntegers } from "./parts.js";

/** A model whose graph is there. */
export interface Target {
  readonly model: ModelProto;
  readonly graph: GraphProto;
}

/** Damage to the structure of a model, in place. */
export type StructureMutation = (random: Random, target: Target) => void;

function onNode(edit: (random: Random, node: NodeProto, target: Target) => void): StructureMutation {
  return (random, target) => {
    const node = pickAny(random, target.graph.node);
    if (node !== undefined) edit(random, node, target);
  };
}

/** All tensors of a graph: initializers and those of attributes. */
function tensorsOf({ graph }: Target): TensorProto[] {
  const attributes = graph.node.flatMap((node) => node.attribute);
  return [...graph.initializer, ...attributes.flatMap(({ t }) => (t === undefined ? [] : [t]))];
}

function onTensor(edit: (random: Random, tensor: TensorProto, target: Target) => void): StructureMutation {
  return (random, target) => {
    const tensor = pickAny(random, tensorsOf(target));
    if (tensor !== undefined) edit(random, tensor, target);
  };
}

function onValue(edit: (random: Random, value: ValueInfoProto) => void): StructureMutation {
  return (random, { graph }) => {
    const value = pickAny(random, [...graph.input, ...graph.input, ...graph.output, ...graph.valueInfo]);
    if (value !== undefined) edit(random, value);
  };
}

function onAttribute(edit: (random: Random, attribute: AttributeProto) => void): StructureMutation {
  return onNode((random, node) => {
    const attribute = pickAny(random, node.attribute);
    if (attribute !== undefined) edit(random, attribute);
  });
}

/** Names of all values of a graph. */
export function valueNames({ graph }: Target): string[] {
  return [
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ];
}

const anyName = (random: Random, target: Target): string =>
  chance(random, 0.85) ? (pickAny(random, valueNames(target)) ?? "") : pick(random, absurdNames);

/** Damage to nodes, names, attributes, tensors and declarations, by name. */
export const structureMutations: Readonly<Record<string, StructureMutation>> = {
  renameInput: onNode((random, node, target) => {
    if (node.input.length > 0) node.input[random.below(node.input.length)] = anyName(random, target);
  }),
  renameOutput: onNode((random, node, target) => {
    if (node.output.length > 0) node.output[random.below(node.output.length)] = anyName(random, target);
  }),
  renameNode: onNode((random, node, target) => {
    node.name = anyName(random, target);
  }),
  renameEverywhere: (random, target) => {
    const from = anyName(random, target);
    const to = pick(random, absurdNames);
    const rename = (name: string): string => (name === from ? to : name);
    const { graph } = target;
    for (const value of [...graph.input, ...graph.output, ...graph.initializer])
      value.name = rename(value.name);
    for (const node of graph.node) {
      node.input = node.input.map(rename);
      node.output = node.output.map(rename);
    }
  },
  changeOperator: onNode((random, node) => {
    node.opType = pick(random, operatorNames);
  }),
  changeDomain: onNode((random, node) => {
    node.domain = pick(random, ["", "ai.onnx", "penni", "own", "com.microsoft", "__proto__"]);
  }),
  addInputs: onNode((random, node, target) => {
    const count = chance(random, 0.9) ? 1 + random.below(4) : 3000;
    for (let index = 0; index < count; index += 1) node.input.push(anyName(random, target));
  }),
  dropInputs: onNode((random, node) => {
    node.input.length = random.below(node.input.length + 1);
  }),
  omitInput: onNode((random, node) => {
    if (node.input.length > 0) node.input[random.below(node.input.length)] = "";
  }),
  addOutputs: onNode((random, node) => {
    const count = chance(random, 0.9) ? 1 + random.below(4) : 3000;
    for (let index = 0; index < count; index += 1) node.output.push(`extra_${node.output.length}_${index}`);
  }),
  dropOutputs: onNode((random, node) => {
    node.output.length = random.below(node.output.length + 1);
  }),
  cycle: onNode((random, node, { graph }) => {
    const later = pick(random, graph.node);
    const [output] = later.output;
    if (output !== undefined) node.input[0] = output;
  }),
  shuffleNodes: (random, { graph }) => {
    random.shuffle(graph.node);
  },
  removeNode: (random, { graph }) => {
    graph.node.splice(random.below(graph.node.length + 1), 1);
  },
  repeatNode: onNode((_random, node, { graph }) => {
    graph.node.push(clone(NodeProtoSchema, node));
  }),
  removeInitializer: (random, { graph }) => {
    graph.initializer.splice(random.below(graph.initializer.length + 1), 1);
  },
  repeatInitializer: (random, { graph }) => {
    const tensor = pickAny(random, graph.initializer);
    if (tensor !== undefined) graph.initializer.push(clone(TensorProtoSchema, tensor));
  },
  swapInitializers: (random, { graph }) => {
    const [a, b] = [pickAny(random, graph.initializer), pickAny(random, graph.initializer)];
    if (a === undefined || b === undefined) return;
    [a.name, b.name] = [b.name, a.name];
  },
  initializerBecomesInput: (random, { graph }) => {
    const tensor = pickAny(random, graph.initializer);
    if (tensor === undefined) return;
    graph.initializer = graph.initializer.filter((other) => other !== tensor);
    graph.input.push(
      create(ValueInfoProtoSchema, { name: tensor.name, type: absurdType(random, tensor.dims.length) }),
    );
  },
  initializerBecomesSparse: (random, { graph }) => {
    const tensor = pickAny(random, graph.initializer);
    if (tensor === undefined) return;
    graph.initializer = graph.initializer.filter((other) => other !== tensor);
    const values = create(TensorProtoSchema, {
      name: tensor.name,
      dims: [chance(random, 0.8) ? 2n : pick(random, absurdIntegers)],
      dataType: chance(random, 0.8) ? 1 : random.below(25),
      floatData: [1, 2],
    });
    const indices = create(TensorProtoSchema, {
      dims: chance(random, 0.7) ? [2n] : [2n, BigInt(tensor.dims.length)],
      dataType: chance(random, 0.8) ? 7 : random.below(25),
      int64Data: chance(random, 0.3) ? [0n, 1n] : [...someIntegers(random, 3), pick(random, absurdIntegers)],
    });
    const dims = chance(random, 0.5) ? tensor.dims : someIntegers(random, 4);
    graph.sparseInitializer.push(create(SparseTensorProtoSchema, { dims, values, indices }));
  },
  changeAttribute: onAttribute((random, attribute) => {
    Object.assign(attribute, anyAttribute(random, attribute.name));
  }),
  changeInteger: onAttribute((random, attribute) => {
    if (attribute.ints.length > 0) {
      attribute.ints[random.below(attribute.ints.length)] = pick(random, absurdIntegers);
    } else attribute.i = pick(random, absurdIntegers);
  }),
  changeListLength: onAttribute((random, attribute) => {
    attribute.ints = chance(random, 0.5)
      ? attribute.ints.slice(1)
      : [...attribute.ints, ...someIntegers(random, 5)];
  }),
  changeAttributeType: onAttribute((random, attribute) => {
    attribute.type = random.below(16) as AttributeType;
  }),
  addAttribute: onNode((random, node) => {
    node.attribute.push(anyAttribute(random, pick(random, attributeNames)));
  }),
  removeAttribute: onNode((random, node) => {
    node.attribute.splice(random.below(node.attribute.length + 1), 1);
  }),
  referAttribute: onAttribute((_random, attribute) => {
    attribute.refAttrName = "outer";
  }),
  longAttribute: onAttribute((_random, attribute) => {
    attribute.ints = Array.from({ length: 100_000 }, (_, index) => BigInt(index % 3));
    attribute.type = AttributeType.INTS;
  }),
  changeDim: onTensor((random, tensor) => {
    if (tensor.dims.length > 0) tensor.dims[random.below(tensor.dims.length)] = pick(random, absurdIntegers);
  }),
  changeDims: onTensor((random, tensor) => {
    tensor.dims = someIntegers(random, 6);
  }),
  splitDims: onTensor((random, tensor) => {
    const ones = Array.from({ length: random.below(chance(random, 0.9) ? 8 : 50_000) }, () => 1n);
    tensor.dims = chance(random, 0.5) ? [...ones, ...tensor.dims] : [...tensor.dims, ...ones];
  }),
  shuffleDims: onTensor((random, tensor) => {
    random.shuffle(tensor.dims);
  }),
  emptyTensor: onTensor((random, tensor) => {
    tensor.dims = tensor.dims.map((dim) => (chance(random, 0.5) ? 0n : dim));
    tensor.dims[0] = 0n;
    tensor.rawData = new Uint8Array(0);
  }),
  hugeEmptyTensor: onTensor((_random, tensor) => {
    tensor.dims = [0n, 2n ** 40n, 2n ** 40n];
    tensor.rawData = new Uint8Array(0);
  }),
  changeElementType: onTensor((random, tensor) => {
    tensor.dataType = random.below(25);
  }),
  truncateData: onTensor((random, tensor) => {
    tensor.rawData = tensor.rawData.slice(0, random.below(tensor.rawData.length + 1));
  }),
  absurdData: onTensor((random, tensor) => {
    const data = tensor.rawData.slice();
    const view = new DataView(data.buffer);
    for (let at = 0; at + 4 <= data.length; at += 4)
      if (chance(random, 0.1)) view.setFloat32(at, pick(random, absurdFloats), true);
    tensor.rawData = data;
  }),
  absurdIntegerData: onTensor((random, tensor) => {
    const data = tensor.rawData.slice();
    const view = new DataView(data.buffer);
    for (let at = 0; at + 8 <= data.length && tensor.dataType === 7; at += 8)
      if (chance(random, 0.5)) view.setBigInt64(at, pick(random, absurdIntegers), true);
    tensor.rawData = data;
  }),
  sameData: onTensor((random, tensor) => {
    const data = tensor.rawData.slice();
    const view = new DataView(data.buffer);
    const value = pick(random, absurdFloats);
    for (let at = 0; at + 4 <= data.length; at += 4) view.setFloat32(at, value, true);
    tensor.rawData = data;
  }),
  allWeightsSame: (random, target) => {
    const value = pick(random, [0, Number.NaN, Number.POSITIVE_INFINITY, 3e38, 1e-45]);
    for (const tensor of tensorsOf(target)) {
      if (tensor.dataType !== 1) continue;
      tensor.rawData = new Uint8Array(
        Float32Array.from({ length: tensor.rawData.length / 4 }, () => value).buffer,
      );
    }
  },
  external: onTensor((random, tensor) => {
    tensor.dataLocation = 1;
    tensor.externalData = [
      create(StringStringEntryProtoSchema, { key: "location", value: pick(random, absurdNames) }),
    ];
  }),
  changeType: onValue((random, value) => {
    value.type = absurdType(random, random.below(7));
  }),
  changeValueDim: onValue((random, value) => {
    const type = value.type?.value;
    const dims = type?.case === "tensorType" ? (type.value.shape?.dim ?? []) : [];
    const dim = pickAny(random, dims);
    if (dim !== undefined) dim.value = { case: "dimValue", value: pick(random, absurdIntegers) };
  }),
  forgetType: onValue((_random, value) => {
    delete value.type;
  }),
  hugeRank: onValue((random, value) => {
    value.type = absurdType(random, 65 + random.below(1000));
  }),
  declareValue: (random, target) => {
    const name = anyName(random, target);
    target.graph.valueInfo.push(
      create(ValueInfoProtoSchema, { name, type: absurdType(random, random.below(6)) }),
    );
  },
  addInput: (random, target) => {
    const name = anyName(random, target);
    target.graph.input.push(
      create(ValueInfoProtoSchema, { name, type: absurdType(random, random.below(6)) }),
    );
  },
  addOutput: (random, target) => {
    target.graph.output.push(create(ValueInfoProtoSchema, { name: anyName(random, target) }));
  },
  removeInput: (random, { graph }) => {
    graph.input.splice(random.below(graph.input.length + 1), 1);
  },
  removeOutput: (random, { graph }) => {
    graph.output.splice(random.below(graph.output.length + 1), 1);
  },
  changeOpset: (random, { model }) => {
    for (const opset of model.opsetImport) {
      opset.version = chance(random, 0.7) ? BigInt(random.below(25)) : pick(random, absurdIntegers);
    }
  },
  changeImports: (random, { model }) => {
    if (chance(random, 0.3)) model.opsetImport = [];
    const domain = pick(random, ["", "ai.onnx", "penni", "own", "__proto__"]);
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: BigInt(random.below(22)) }));
  },
  changeIrVersion: (random, { model }) => {
    model.irVersion = pick(random, absurdIntegers);
  },
  emptyGraph: (random, { graph }) => {
    graph.node = [];
    if (chance(random, 0.5)) graph.output = [];
    if (chance(random, 0.5)) graph.input = [];
    if (chance(random, 0.5)) graph.initializer = [];
  },
  removeGraph: (_random, { model }) => {
    delete model.graph;
  },
  nestedGraphs: onNode((random, node) => {
    const depth = chance(random, 0.7) ? random.below(28) : 28 + random.below(300);
    node.attribute.push(
      create(AttributeProtoSchema, { name: "nested", type: AttributeType.GRAPH, g: graphDepth(depth) }),
    );
  }),
  damageMetadata: (random, { model }) => {
    const key = pick(random, ["penni.preprocessing", "penni.classNames", "__proto__", ""]);
    model.metadataProps.push(create(StringStringEntryProtoSchema, { key, value: pick(random, garbage) }));
  },
};
