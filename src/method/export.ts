import { CLASS_NAMES_KEY, PREPROCESSING_KEY, type Preprocessing } from "../data/preprocessing.js";
import { at, entryOf, inputOf } from "../graph/at.js";
import { usedNames, withInitializers } from "../graph/edit.js";
import { linkGraph } from "../graph/links.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { countNonZeros, float32Data, float32Tensor } from "../graph/tensor.js";
import type { Graph, ValueType } from "../graph/types.js";
import type { WeightsType } from "../graph/weights_type.js";
import {
  type Fragment,
  formWriters,
  type LayerForm,
  layerGraph,
  layerPart,
  mergedKernels,
  replaceLayers,
} from "../layers/forms.js";
import { type DecomposedLayer, findDecompositions } from "../layers/weights.js";
import { checkNameCount } from "../measure/classes.js";
import { countGraph } from "../measure/count.js";
import { encodedSize } from "../onnx/write.js";
import { inferGraph } from "../ops/inference/infer.js";
import { withInterfaceOf } from "../ops/passes/float16.js";
import { foldNormalization } from "../ops/passes/fold_normalization.js";
import { storeWeights, weightsTypeOf } from "../ops/passes/store_weights.js";
import { COMPRESSION_KEY } from "./compression_record.js";
import { prunableInitializers } from "./prune.js";

export interface ExportOptions {
  /**
   * Milliseconds of one run of each of several one-layer graphs (batch 1), measured by turns. Without it the
   * factored form is not considered.
   */
  readonly measure?: (layers: readonly Graph[]) => Promise<readonly number[]>;
  readonly preprocessing?: Preprocessing;
  readonly classNames?: readonly string[];
  /**
   * The model as the user gave it: where it has weights of int8 or float16, or inputs or outputs of float16, so has the
   * export. (Its arithmetic is float32 either way.)
   */
  readonly original?: Graph;
  /** How the weights are stored, in place of what the original says. */
  readonly weightsType?: WeightsType;
  /** How the model was compressed: anything that JSON can hold. */
  readonly record?: unknown;
  /**
   * Executed multiply-accumulates of one image that the export should not exceed: layers take their factored form for it
   * even where it is not faster. No limit where absent.
   */
  readonly executedLimit?: number;
  /** Whether decomposed layers are written with their coefficients whatever is smaller, never multiplied out (no). */
  readonly keepsFactors?: boolean;
}

/** What was decided for one decomposed layer, and why. */
export interface ExportedLayer {
  /** The convolution's node name. */
  readonly node: string;
  readonly form: LayerForm;
  /** Bytes of a file with this layer alone, in each form. */
  readonly bytes: Readonly<Record<LayerForm, number>>;
  /** Milliseconds of the layer alone, where measured; "merged" runs as "dense". */
  readonly milliseconds: { readonly dense: number; readonly factored: number } | undefined;
}

export interface ExportResult {
  readonly graph: Graph;
  readonly layers: readonly ExportedLayer[];
}

/** The factored form must be faster than this share of the dense time: less is noise. */
const CLEARLY_FASTER = 0.9;

/**
 * Of the two forms that run as the dense kernel, the smaller one; but the dense one only where its non-zeros are no more
 * products than what they are made of (paper count), so that the file costs no more than was counted.
 */
function smallest(
  graph: Graph,
  layer: DecomposedLayer,
  bytes: Readonly<Record<LayerForm, number>>,
): LayerForm {
  if (bytes.merged <= bytes.dense) return "merged";
  const coefs = float32Data(entryOf(graph.initializers, layer.coefs));
  const products = layer.C * layer.groups * layer.d * layer.R * layer.S + countNonZeros(coefs);
  return countNonZeros(float32Data(mergedKernels(graph, layer))) <= products ? "dense" : "merged";
}

/** Whether the factored form has no more products than the dense kernel, at each position. */
function isLessArithmetic({ K, C, R, S, d, groups }: DecomposedLayer): boolean {
  return C * groups * d * R * S + K * C * d <= K * C * R * S;
}

interface Choice {
  readonly layer: DecomposedLayer;
  readonly fragments: Readonly<Record<LayerForm, Fragment>>;
  readonly report: ExportedLayer;
}

async function chooseForm(
  part: Graph,
  layer: DecomposedLayer,
  input: ValueType,
  used: ReadonlySet<string>,
  { measure, keepsFactors = false }: Pick<ExportOptions, "measure" | "keepsFactors">,
): Promise<Choice> {
  const fragments = {
    merged: formWriters.merged(part, layer, used),
    dense: formWriters.dense(part, layer, used),
    factored: formWriters.factored(part, layer, used),
  };
  const alone = (form: LayerForm): Graph => layerGraph(part, layer, input, fragments[form]);
  const size = (form: LayerForm): number => encodedSize(alone(form), { sparse: true });
  const bytes = { merged: size("merged"), dense: size("dense"), factored: size("factored") };
  const times = await measure?.([alone("dense"), alone("factored")]);
  const milliseconds = times === undefined ? undefined : { dense: at(times, 0), factored: at(times, 1) };
  const isFaster = milliseconds !== undefined && milliseconds.factored < CLEARLY_FASTER * milliseconds.dense;
  const otherwise = keepsFactors ? "merged" : smallest(part, layer, bytes);
  const form = isFaster && isLessArithmetic(layer) ? "factored" : otherwise;
  return { layer, fragments, report: { node: layer.conv.name, form, bytes, milliseconds } };
}

/** The graph with each layer in the form that was chosen for it. */
function inChosenForms(graph: Graph, choices: readonly Choice[]): Graph {
  return replaceLayers(
    graph,
    new Map(choices.map(({ layer, fragments, report }) => [layer.conv, fragments[report.form]])),
  );
}

/**
 * The choices, with as many layers more in their factored form as it takes to execute no more than the limit, those first
 * that save most: a network that came with factored layers must not leave with more arithmetic because they happened
 * to be no faster today.
 */
function withinLimit(graph: Graph, choices: readonly Choice[], limit: number): readonly Choice[] {
  const executed = (tried: readonly Choice[]): number =>
    countGraph(fixBatch(inChosenForms(graph, tried), 1)).executedMacs;
  const factored = (choice: Choice): Choice => ({
    ...choice,
    report: { ...choice.report, form: "factored" },
  });
  let excess = executed(choices) - limit;
  if (excess <= 0) return choices;
  // What one layer saves does not depend on the others.
  const savings = choices.map(
    (choice, index) => excess + limit - executed(choices.with(index, factored(choice))),
  );
  const order = [...savings.keys()].sort((a, b) => at(savings, b) - at(savings, a));
  const changed = new Set<number>();
  for (const index of order) {
    const saved = at(savings, index);
    if (excess <= 0 || saved <= 0) break;
    changed.add(index);
    excess -= saved;
  }
  return choices.map((choice, index) => (changed.has(index) ? factored(choice) : choice));
}

/**
 * Pruned elements as +0: a mask or a folded scale may have left -0, which a sparse initializer would have to
 * store. Weights are only multiplied and added, so nothing that matters depends on the sign of their zeros.
 */
function withPositiveZeros(graph: Graph): Graph {
  const changed = prunableInitializers(graph).map((name) => {
    const tensor = entryOf(graph.initializers, name);
    const values = float32Data(tensor).map((value) => value + 0);
    return [name, float32Tensor(tensor.dims, values)] as const;
  });
  return withInitializers(graph, changed);
}

function withMetadata(graph: Graph, { preprocessing, classNames, record }: ExportOptions): Graph {
  const entries = Object.entries({
    [PREPROCESSING_KEY]: preprocessing,
    [CLASS_NAMES_KEY]: classNames,
    [COMPRESSION_KEY]: record,
  }).filter(([, value]) => value !== undefined);
  const metadata = new Map(graph.metadata);
  for (const [key, value] of entries) metadata.set(key, JSON.stringify(value));
  return { ...graph, metadata };
}

/** The float32 network with weights as they are asked for or the original has them, and inputs and outputs as it has them. */
export function inFormatOf(
  graph: Graph,
  { original, weightsType }: Pick<ExportOptions, "original" | "weightsType">,
): Graph {
  const type = weightsType ?? (original === undefined ? "float32" : weightsTypeOf(original));
  const stored = storeWeights(graph, type).graph;
  return original === undefined ? stored : withInterfaceOf(stored, original);
}

/**
 * The graph as it goes into a file: BatchNormalization folded exactly, each decomposed layer in its cheapest
 * form, what a program needs to know in the metadata. Where `measure` finds the factored pair clearly faster
 * than the dense kernel, and it is less arithmetic, it is taken; otherwise, of the two forms that run as the dense
 * kernel, the smaller one, unless dense kernels would count more. Write the result with
 * `encodeModel(graph, { sparse: true })`.
 * @throws what `measure` throws; PenniError "shape" if the graph contradicts itself.
 */
export async function exportModel(graph: Graph, options: ExportOptions = {}): Promise<ExportResult> {
  if (options.classNames !== undefined) checkNameCount(graph, options.classNames);
  const folded = withPositiveZeros(foldNormalization(graph));
  const { types } = inferGraph(fixBatch(folded, 1));
  const links = linkGraph(folded);
  const used = usedNames(folded);
  const choices: Choice[] = [];
  for (const layer of findDecompositions(folded)) {
    const input = types.get(inputOf(layer.conv, 0)) ?? { elementType: "float32", shape: undefined };
    const isFixed = input.shape?.every((dim) => typeof dim === "number") === true;
    const { measure, ...unmeasured } = options;
    const asked = isFixed && measure !== undefined ? options : unmeasured;
    choices.push(await chooseForm(layerPart(links, layer), layer, input, used, asked));
  }
  const { executedLimit } = options;
  const fitting = executedLimit === undefined ? choices : withinLimit(folded, choices, executedLimit);
  const written = inFormatOf(inChosenForms(folded, fitting), options);
  return { graph: withMetadata(written, options), layers: fitting.map(({ report }) => report) };
}
