import { hasInput, orDefault } from "../graph/at.js";
import { intAttribute } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import { innerNodes } from "../graph/links.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph, InnerNode, Node } from "../graph/types.js";
import { standardOpset } from "../ops/core/definition.js";
import { isStatic } from "../ops/core/dims.js";
import { INSTEAD_OF_ONE_MACHINE, isForOneMachine } from "../ops/core/machine_domains.js";
import { isQuantizedOp } from "../ops/families/quantization.js";
import { hasCountedSize } from "../ops/inference/counted_sizes.js";
import { inferGraph } from "../ops/inference/infer.js";
import { findOp } from "../ops/inference/registry.js";
import { hasHalfWeights, nodeThatNeedsHalf } from "../ops/passes/float16.js";
import { floatOutputs, trainability } from "./frozen.js";
import { layerName } from "./inspect.js";

/** What a remark is about. */
export type RemarkKind =
  | "newer-opset"
  | "float16"
  | "inputs"
  | "fixed-batch"
  | "quantized"
  | "training-mode"
  | "subgraph"
  | "data-dependent-size"
  | "unknown-operator"
  | "missing-operator"
  | "long-loop"
  | "no-gradient";

/** Something in a model that Penni cannot treat as it does the rest: what it is, where, and what to do about it. */
export interface Remark {
  readonly kind: RemarkKind;
  readonly problem: string;
  /** The nodes concerned; none where it is the model as a whole. */
  readonly nodes: readonly { readonly name: string; readonly op: string }[];
  readonly advice: string;
}

/** The newest version of the standard operator set whose changes Penni follows. */
export const NEWEST_OPSET = 26;

/** What to do about a quantized model. */
export const FROM_FLOAT =
  "Start from the float32 model, or let compress take the one behind the integers (--dequantize); quantize what comes out";

const isStandard = ({ domain }: Pick<Node, "domain">): boolean => domain === "" || domain === "ai.onnx";

/** The first node of a quantized model that computes with integers or converts from or to them. */
export function quantizedNode(graph: Graph): Node | undefined {
  return graph.nodes.find(isQuantizedOp);
}

const named = (nodes: readonly Node[]): Remark["nodes"] =>
  nodes.map((node) => ({ name: layerName(node), op: node.op }));

type Finder = (graph: Graph) => readonly Remark[];

/** A remark about some nodes, if there are any. */
function about(nodes: readonly Node[], remark: Omit<Remark, "nodes">): readonly Remark[] {
  return nodes.length === 0 ? [] : [{ ...remark, nodes: named(nodes) }];
}

const newerOpset: Finder = (graph) => {
  const opset = standardOpset(graph);
  if (opset <= NEWEST_OPSET) return [];
  return [
    {
      kind: "newer-opset",
      problem: `operator set ${opset} is newer than ${NEWEST_OPSET}, the newest that Penni follows: operators whose form has changed since may be misunderstood`,
      nodes: [],
      advice: `Compare the outputs of what comes out, or export the model with operator set ${NEWEST_OPSET}`,
    },
  ];
};

const half: Finder = (graph) => {
  const reader = nodeThatNeedsHalf(graph);
  if (reader !== undefined) {
    return about([reader], {
      kind: "float16",
      problem:
        "this node may read float16 values and cannot be judged, so the model stays float16: nothing is compressed",
      advice: "Export the model as float32",
    });
  }
  if (!hasHalfWeights(graph)) return [];
  return [
    {
      kind: "float16",
      problem:
        "the weights are float16: Penni computes in float32 and stores the compressed weights as float16 again",
      nodes: [],
      advice: "Export the model as float32 if the result shall be float32",
    },
  ];
};

const inputs: Finder = (graph) => {
  if (graph.inputs.length === 1) return [];
  const found = graph.inputs.map(({ name }) => `"${name}"`).join(", ");
  return [
    {
      kind: "inputs",
      problem: `the model has ${graph.inputs.length} inputs (${found}); compress and eval feed images to one`,
      nodes: [],
      advice: "Make the others constants of the model",
    },
  ];
};

const quantized: Finder = (graph) =>
  about(graph.nodes.filter(isQuantizedOp), {
    kind: "quantized",
    problem:
      "the model is quantized, and integer weights have no kernels that could share a basis: what is said of layers is true of the float32 network behind it",
    advice: FROM_FLOAT,
  });

/** A batch that is not the one that a model states. */
const otherThan = (stated: number): number => (stated === 2 ? 3 : 2);

/**
 * What to do about a model that states its batch and is written for it throughout (a Reshape to [1, ...]): where only the
 * input states it, other batches are taken all the same.
 * @param imported the same after `importModel`, its input dimensions fixed
 */
export function batchRemark(model: Graph, imported: Graph): Remark | undefined {
  const stated = model.inputs[0]?.type?.shape?.[0];
  if (typeof stated !== "number" || takesOtherBatch(imported, otherThan(stated))) return undefined;
  const images = stated === 1 ? "one image" : `${stated} images`;
  return {
    kind: "fixed-batch",
    problem: `the model is written for ${images} at a time, which makes calibration, evaluation and whatever else runs it slow`,
    nodes: [],
    advice:
      'Export it with a dynamic batch axis (torch.onnx.export(..., dynamic_axes={"input": {0: "batch"}}) in PyTorch) to have it run on many at once',
  };
}

/** Whether shapes allow for so many images together, and every output has as many. */
function takesOtherBatch(imported: Graph, batch: number): boolean {
  try {
    const { types } = inferGraph(fixBatch(imported, batch));
    return imported.outputs.every(({ name }) => {
      const first = types.get(name)?.shape?.[0];
      return typeof first !== "number" || first === batch;
    });
  } catch (error) {
    if (error instanceof PenniError) return false;
    throw error;
  }
}

/** BatchNormalization and Dropout that behave as in training. */
function isInTraining(node: Node): boolean {
  if (!isStandard(node)) return false;
  return (
    (node.op === "BatchNormalization" && intAttribute(node, "training_mode") === 1) ||
    (node.op === "Dropout" && hasInput(node, 2))
  );
}

const trainingMode: Finder = (graph) =>
  about(graph.nodes.filter(isInTraining), {
    kind: "training-mode",
    problem: "exported in training mode: the outputs depend on the rest of the batch, or on chance",
    advice: "Export the model in inference mode (model.eval() in PyTorch)",
  });

function describeInner(inner: readonly InnerNode[]): string {
  const convolutions = inner.filter(({ op }) => op === "Conv" || op === "ConvTranspose").length;
  const those = convolutions === 0 ? "" : `, ${convolutions} of them convolutions`;
  return `${inner.length} nodes inside${those}`;
}

const subgraphs: Finder = (graph) =>
  graph.nodes
    .filter((node) => [...node.attributes.values()].some(({ kind }) => kind === "opaque") && isStandard(node))
    .map((node) => ({
      kind: "subgraph",
      problem: `a loop or a branch (${describeInner(innerNodes(node))}): what is in it stays as it is, and no gradient passes it`,
      nodes: named([node]),
      advice: "Export the model without control flow to have it compressed as well",
    }));

const unknown: Finder = (graph) => {
  const nodes = graph.nodes.filter(
    (node) => findOp(node) === undefined && !isQuantizedOp(node) && innerNodes(node).length === 0,
  );
  const [ofMachine, others] = [nodes.filter(isForOneMachine), nodes.filter((node) => !isForOneMachine(node))];
  const [custom, standard] = [others.filter((node) => !isStandard(node)), others.filter(isStandard)];
  const consequence = "its channels are kept, its arithmetic is not counted, and no gradient passes it";
  return [
    ...about(ofMachine, {
      kind: "unknown-operator",
      problem: `an operator in one machine's layout: ${consequence}`,
      advice: INSTEAD_OF_ONE_MACHINE,
    }),
    ...about(custom, {
      kind: "unknown-operator",
      problem: `an operator of another domain (${[...new Set(custom.map(({ domain }) => domain))].join(", ")}): ${consequence}`,
      advice: "Replace it by standard operators, if weights before it are to be trained",
    }),
    ...about(standard, {
      kind: "unknown-operator",
      problem: `an operator that Penni does not know: ${consequence}`,
      advice: "Replace it by other standard operators, if weights before it are to be trained",
    }),
  ];
};

const sizedByData: Finder = (graph) =>
  about(
    graph.nodes.filter((node) => hasCountedSize(node) && innerNodes(node).length === 0),
    {
      kind: "data-dependent-size",
      problem:
        "how large its result is depends on the data: penni compile cannot take it, and no output behind it is trained for",
      advice: "End the network before it to compile it, or to train for what it is given",
    },
  );

/** What the file itself says, before it is brought to the form that the method wants. */
const finders: readonly Finder[] = [newerOpset, half, inputs, quantized, trainingMode];

/** What is said of nodes that are still there when it is: fused operators are written out, known branches in place. */
const findersOfLeft: readonly Finder[] = [subgraphs, sizedByData, unknown];

/** The model with those of its nodes that import leaves as they are. */
function leftBy(imported: Graph, model: Graph): Graph {
  const key = ({ op, domain, outputs }: Node): string =>
    JSON.stringify([op, domain, outputs.find((name) => name !== "")]);
  const left = new Set(imported.nodes.map(key));
  return { ...model, nodes: model.nodes.filter((node) => left.has(key(node))) };
}

const notRunnable = (missing: readonly Node[]): readonly Remark[] =>
  about(missing, {
    kind: "missing-operator",
    problem:
      "ONNX Runtime does not have this operator either: the shapes behind it are not known, and only what is before it can be run and compressed",
    advice:
      "compress without labels (--preset calibrate, --loss distill) does so, and puts the rest back behind it",
  });

const notRun = (skipped: readonly Node[]): readonly Remark[] =>
  about(skipped, {
    kind: "long-loop",
    problem:
      "how often this loops is not known before the model runs, or is very often: it was not run to learn the shapes behind it, so arithmetic there may not be counted",
    advice: "Export the model with a constant number of turns, or with the shapes of all values",
  });

const NAMES_SHOWN = 4;

/** The first of some names, and how many there are besides. */
export function someNames(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(", ");
  return names.length > NAMES_SHOWN ? `${shown} and ${names.length - NAMES_SHOWN} more` : shown;
}

const NO_FLOAT_OUTPUT: Remark = {
  kind: "no-gradient",
  problem: "no output is float32, so there is nothing that training could improve",
  nodes: [],
  advice: "Export the model with the values before its last decision (before ArgMax, for example)",
};

/** Weights behind which a gradient is missing, on an imported graph with fixed dimensions. */
function withoutGradient(graph: Graph): readonly Remark[] {
  try {
    const all = floatOutputs(graph);
    if (all.length === 0) return [NO_FLOAT_OUTPUT];
    const { types } = inferGraph(graph);
    const fixed = all.filter((name) => isStatic(types.get(name)?.shape));
    const found = trainability(graph, fixed.length > 0 ? fixed : all);
    const nodes = found.blockades.map(({ node }) => node);
    return about(nodes, {
      kind: "no-gradient",
      problem: found.isTrainable
        ? `no gradient passes this, so these weights stay as they are when the network is trained: ${someNames([...found.frozen])}`
        : "no gradient passes this, and there is no weight behind it: the network cannot be trained",
      advice: "A method without training (--preset calibrate) compresses them all the same",
    });
  } catch (error) {
    if (!(error instanceof PenniError)) throw error;
    const { node = "", op = "" } = error.details;
    const nodes = op === "" ? [] : [{ name: node, op }];
    return [
      { kind: "no-gradient", problem: error.problem, nodes, advice: orDefault(error.details.advice, "") },
    ];
  }
}

/**
 * What cannot be compressed, trained or judged in a model, and why.
 * @param model as the file has it
 * @param imported the same after `importModel`, its input dimensions fixed
 * @param shaping nodes whose operators ONNX Runtime does not have, and loops that were not run (see `withRuntimeShapes`)
 */
export function modelRemarks(
  model: Graph,
  imported: Graph,
  { missing = [], skipped = [] }: Partial<Record<"missing" | "skipped", readonly Node[]>> = {},
): readonly Remark[] {
  const left = leftBy(imported, model);
  const batch = batchRemark(model, imported);
  const found = [
    ...finders.flatMap((find) => find(model)),
    ...(batch === undefined ? [] : [batch]),
    ...findersOfLeft.flatMap((find) => find(left)),
    ...notRunnable(missing),
    ...notRun(skipped),
  ];
  const isQuantizedModel = found.some(({ kind }) => kind === "quantized");
  return isQuantizedModel ? found : [...found, ...withoutGradient(imported)];
}
