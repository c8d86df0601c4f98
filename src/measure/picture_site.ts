import type { Session } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { at, hasInput, hasOutput, inputOf, orDefault, outputOf, present } from "../graph/at.js";
import { attributes } from "../graph/attributes.js";
import { freshNames, usedNames } from "../graph/edit.js";
import { PenniError } from "../graph/errors.js";
import { imageInput } from "../graph/image_input.js";
import { ofInput } from "../graph/operands.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { float32Data } from "../graph/tensor.js";
import type { Graph, Node } from "../graph/types.js";
import { float32Interface } from "../ops/passes/float16.js";
import { type ChosenImages, feedChosen, runEach } from "./run_on_images.js";

/** Mean and standard deviation of every channel. */
export interface Moments {
  readonly means: readonly number[];
  readonly deviations: readonly number[];
}

export type Site =
  | { readonly kind: "normalization"; readonly value: string; readonly expected: Moments }
  | { readonly kind: "bias"; readonly value: string; readonly bias: Float32Array };

/** What the first BatchNormalization is given, if it was trained. */
export function normalizationSite(model: Graph): Site | undefined {
  const node = model.nodes.find(({ op }) => op === "BatchNormalization");
  if (node === undefined || !hasInput(node, 0)) return undefined;
  const [means, variances] = [constantInput(model, node, 3), constantInput(model, node, 4)];
  if (means === undefined || variances === undefined) return undefined;
  if (means.every((each) => each === 0) && variances.every((each) => each === 1)) return undefined;
  const isUsable = [...means, ...variances].every(Number.isFinite) && variances.some((each) => each > 0);
  if (!isUsable) return undefined;
  return {
    kind: "normalization",
    value: inputOf(node, 0),
    expected: { means: [...means], deviations: [...variances].map((each) => Math.sqrt(Math.max(0, each))) },
  };
}

/** What the first convolution computes, if it has a bias. */
export function biasSite(model: Graph): Site | undefined {
  const node = model.nodes.find(({ op }) => op === "Conv");
  if (node === undefined || !hasOutput(node, 0)) return undefined;
  const bias = constantInput(model, node, 2);
  if (bias === undefined || bias.every((each) => each === 0)) return undefined;
  return { kind: "bias", value: outputOf(node, 0), bias };
}

function constantInput(model: Graph, node: Node, index: number): Float32Array | undefined {
  const tensor = ofInput(model.initializers, node, index);
  return tensor?.type === "float32" ? float32Data(tensor) : undefined;
}

export interface SiteSession {
  readonly session: Session;
  readonly input: string;
  readonly output: string;
}

/** The model up to the site, for one image; undefined where that does not run. */
export async function openSite(model: Graph, { value }: Site): Promise<SiteSession | undefined> {
  const output = freshNames(usedNames(model))("looked_at");
  const copy: Node = {
    name: output,
    op: "Identity",
    domain: "",
    inputs: [value],
    outputs: [output],
    attributes: attributes({}),
  };
  const cut = removeDeadNodes({
    ...model,
    nodes: [...model.nodes, copy],
    outputs: [{ name: output, type: undefined }],
  });
  try {
    const session = await openSession(fixBatch(float32Interface(cut), 1), { spinning: false });
    return { session, input: imageInput(model).name, output };
  } catch (error) {
    if (error instanceof PenniError) return undefined;
    throw error;
  }
}

export async function momentsOf(
  { session, input, output }: SiteSession,
  images: ChosenImages,
): Promise<Moments> {
  const sums: number[] = [];
  const squares: number[] = [];
  let count = 0;
  for await (const { results } of runEach(session, feedChosen(images, { input, batch: 1 }), [output])) {
    const { data, dims } = present(results[output], "the value that is looked at");
    if (!(data instanceof Float32Array)) break;
    // Where a value has one axis there is nothing beside the batch.
    const channels = orDefault(dims[1], 1);
    const size = data.length / channels;
    count += size;
    data.forEach((value, index) => {
      const channel = Math.floor(index / size);
      sums[channel] = orDefault(sums[channel], 0) + value;
      squares[channel] = orDefault(squares[channel], 0) + value * value;
    });
  }
  const means = sums.map((sum) => sum / count);
  const deviations = squares.map((square, channel) =>
    Math.sqrt(Math.max(0, square / count - at(means, channel) ** 2)),
  );
  return { means, deviations };
}
