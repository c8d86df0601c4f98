import { Tensor as OrtTensor } from "onnxruntime-common";
import { batches, planEvaluation } from "../../data/batches.js";
import { imageDims, type ModelImageDims } from "../../data/preprocessing.js";
import type { Provider } from "../../execute/device.js";
import type { Session, SessionOptions } from "../../execute/engine.js";
import { openSession } from "../../execute/node.js";
import { PenniError } from "../../graph/errors.js";
import type { Graph, ValueType } from "../../graph/types.js";
import { classifierInterface } from "../../measure/accuracy.js";
import { ChangeComparison, type Compared, type OutputChange } from "../../measure/output_change.js";
import { ErrorUnit } from "../../measure/output_deviation.js";
import { outputParts } from "../../measure/output_parts.js";
import { PredictionTally } from "../../measure/predictions.js";
import { type ChosenImages, type Fed, runEach } from "../../measure/run_on_images.js";
import { inferGraph } from "../../ops/inference/infer.js";
import { tally } from "../tally.js";
import { type Comparable, checkFinite, comparableOutputs, float32Of, tensorOf } from "./comparable.js";
import { type Continuation, continuation } from "./continuation.js";
import { batchSize, divideLayers } from "./economy.js";
import type { SurveyedLayer } from "./layers.js";
import { type Variant, variantWeight } from "./variants.js";

export interface SurveyOptions extends ChosenImages {
  readonly graph: Graph;
  readonly labels?: boolean;
  readonly batch?: number;
  readonly threads?: number;
  readonly provider?: Provider;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** One change of one layer that is to be tried. */
export interface SurveyedVariant {
  readonly layer: SurveyedLayer;
  readonly variant: Variant;
}

export interface SurveyResult {
  /** Images that were used. */
  readonly images: number;
  readonly outputs: readonly string[];
  /** The original compared with itself. */
  readonly original: OutputChange;
  readonly changes: ReadonlyMap<SurveyedVariant, OutputChange>;
}

interface ImageBatch extends Fed {
  readonly labels: BigInt64Array | undefined;
  readonly count: number;
}

/** Layers whose variants share a session, and what runs in it. */
interface LayerGroup extends Continuation {
  readonly layers: readonly SurveyedLayer[];
}

/**
 * Tries changes of single layers on some images. The network itself runs in one session, which also gives the values
 * at which the rest is cut off; for each group of neighbouring layers another one runs only what depends on them, with
 * their weights as inputs.
 */
export class Survey {
  private readonly input: string;
  private readonly dims: ModelImageDims;
  private readonly batch: number;
  private readonly indices: Uint32Array;
  private readonly types: ReadonlyMap<string, ValueType>;
  private done = 0;

  /** @throws PenniError "bad-data" if network and images do not fit. */
  constructor(private readonly options: SurveyOptions) {
    const { graph, split, preprocessing, indices, batch } = options;
    const { input, fixedBatch } = classifierInterface(graph, split, preprocessing);
    this.input = input;
    this.dims = imageDims(split, preprocessing);
    this.batch =
      fixedBatch ?? Math.min(batch ?? batchSize(graph, input, this.dims), Math.max(1, indices.length));
    this.indices = fixedBatch === undefined ? indices : wholeBatches(indices, fixedBatch);
    this.types = inferGraph(graph).types;
  }

  /** @throws PenniError "bad-data", "unsupported" or "interrupted"; see `measureSensitivity`. */
  async run(variants: readonly SurveyedVariant[]): Promise<SurveyResult> {
    const groups = this.groups(variants);
    const original = await this.openOriginal(groups);
    try {
      const total = this.indices.length * (1 + variants.length);
      const { compared, change } = await this.evaluateOriginal(original, total);
      const changes = new Map<SurveyedVariant, OutputChange>();
      for (const group of groups) {
        const own = variants.filter(({ layer }) => group.layers.includes(layer));
        const found = await this.runGroup(group, own, original, compared, total);
        for (const [variant, effect] of found) changes.set(variant, effect);
      }
      return { images: this.indices.length, outputs: compared.outputs, original: change, changes };
    } finally {
      await original.release();
    }
  }

  private groups(variants: readonly SurveyedVariant[]): readonly LayerGroup[] {
    const { graph } = this.options;
    const counts = tally(variants.map(({ layer }) => layer));
    return divideLayers(graph, this.input, this.dims, counts).map((layers) => ({
      layers,
      ...continuation(graph, this.types, layers),
    }));
  }

  /** The network with everything that groups need from it as further outputs. */
  private openOriginal(groups: readonly LayerGroup[]): Promise<Session> {
    const { graph } = this.options;
    const given = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
    const entries = new Set(groups.flatMap((group) => group.entries));
    const added = [...entries].filter((name) => !given.has(name));
    const outputs = [...graph.outputs, ...added.map((name) => ({ name, type: this.types.get(name) }))];
    // It runs once where variants run many times: its threads must not keep the processor from theirs.
    return openSession({ ...graph, outputs }, { ...this.sessionOptions(), spinning: false });
  }

  private sessionOptions(): SessionOptions {
    const { threads, provider } = this.options;
    return { ...(threads === undefined ? {} : { threads }), ...(provider === undefined ? {} : { provider }) };
  }

  private *imageBatches(): Generator<ImageBatch, void, undefined> {
    const { split, preprocessing, labels: useLabels = true } = this.options;
    const plan = planEvaluation(split, this.indices, { batch: this.batch, preprocessing });
    for (const { images, labels, count } of batches(plan)) {
      this.checkRunning();
      const used = images.slice(0, (count * images.length) / this.batch);
      yield {
        feeds: { [this.input]: new OrtTensor("float32", used, [count, ...this.dims]) },
        labels: useLabels ? labels?.slice(0, count) : undefined,
        count,
      };
    }
  }

  private async evaluateOriginal(
    original: Session,
    total: number,
  ): Promise<{ readonly compared: Compared; readonly change: OutputChange }> {
    const names = this.options.graph.outputs.map(({ name }) => name);
    const parts = outputParts(this.options.graph);
    const units = new Map<string, ErrorUnit>();
    const predictions = new PredictionTally();
    let comparable: Comparable | undefined;
    for await (const { results, labels, count } of runEach(original, this.imageBatches(), names)) {
      comparable ??= comparableOutputs(names, { values: results, labels, count }, this.options.split);
      const { outputs, scores, isLabelled } = comparable;
      checkFinite(outputs, results);
      for (const name of outputs) {
        const unit = units.get(name) ?? new ErrorUnit(parts.get(name));
        unit.add(float32Of(results, name), tensorOf(results, name).dims, count);
        units.set(name, unit);
      }
      if (scores !== undefined) {
        const own = float32Of(results, scores.output);
        predictions.add(own, own, scores.classes, isLabelled ? labels : undefined);
      }
      this.report(count, total);
    }
    if (comparable === undefined) throw new PenniError("bad-data", "there are no images to measure with");
    const compared = {
      ...comparable,
      units: new Map([...units].map(([name, unit]) => [name, unit.value] as const)),
    };
    return { compared, change: unchanged(compared, predictions) };
  }

  private async runGroup(
    group: LayerGroup,
    variants: readonly SurveyedVariant[],
    original: Session,
    compared: Compared,
    total: number,
  ): Promise<ReadonlyMap<SurveyedVariant, OutputChange>> {
    const { outputs, isLabelled } = compared;
    const affected = group.graph.outputs.map(({ name }) => name).filter((name) => outputs.includes(name));
    const fetched = [...new Set([...outputs, ...group.entries])].filter((name) => name !== this.input);
    const weights = Object.fromEntries(
      group.layers.map((layer) => [layer.weight, weightTensor(layer, layer.kernels)]),
    );
    const changed = variants.map((surveyed) => {
      const { layer, variant } = surveyed;
      const weight = { [layer.weight]: weightTensor(layer, variantWeight(layer, variant)) };
      return { surveyed, weight, comparison: new ChangeComparison(compared) };
    });
    const session = await openSession(group.graph, this.sessionOptions());
    try {
      for await (const { feeds, results, labels, count } of runEach(original, this.imageBatches(), fetched)) {
        const first = { ...results, ...feeds };
        const entries = Object.fromEntries(group.entries.map((name) => [name, tensorOf(first, name)]));
        for (const { weight, comparison } of changed) {
          this.checkRunning();
          const found = await session.run({ ...entries, ...weights, ...weight }, affected);
          const second = { ...first, ...found };
          comparison.add({ first, second, size: count, count }, isLabelled ? labels : undefined);
          this.report(count, total);
        }
      }
    } finally {
      await session.release();
    }
    return new Map(changed.map(({ surveyed, comparison }) => [surveyed, comparison.result]));
  }

  private checkRunning(): void {
    if (this.options.signal?.aborted !== true) return;
    throw new PenniError("interrupted", "stopped before every layer was measured; nothing is written");
  }

  private report(images: number, total: number): void {
    this.done += images;
    this.options.onProgress?.(this.done, total);
  }
}

/** The original compared with itself. */
function unchanged({ outputs, scores, isLabelled }: Compared, predictions: PredictionTally): OutputChange {
  return {
    top1: isLabelled ? predictions.correct / predictions.images : undefined,
    agreement: scores === undefined ? undefined : 1,
    errors: outputs.map(() => 0),
  };
}

/** Images for a network whose batch is fixed: what does not fill the last batch is left out. */
function wholeBatches(indices: Uint32Array, batch: number): Uint32Array {
  const count = indices.length - (indices.length % batch);
  if (count > 0) return indices.subarray(0, count);
  throw new PenniError("bad-data", "there are fewer images than the batch that the model fixes", {
    expected: `at least ${batch} images`,
    found: `${indices.length}`,
    advice: "Use more images, or export the model with a dynamic batch axis",
  });
}

function weightTensor({ dims }: SurveyedLayer, values: Float32Array): OrtTensor {
  return new OrtTensor("float32", values, dims);
}
