import { hasOutput, outputOf } from "./at.js";
import { intsAttribute } from "./attributes.js";
import { PenniError } from "./errors.js";
import type { Layout } from "./image_metadata.js";
import type { Dim, ElementType, Graph, Shape, ValueInfo } from "./types.js";

/** Where images go into a model. */
export interface ImageInput {
  readonly name: string;
  /** Undefined where the file does not say. */
  readonly elementType: ElementType | undefined;
  /** Undefined where the file does not say. */
  readonly shape: Shape | undefined;
  /** What its shape or its reader shows; undefined where they show nothing. */
  readonly layout: Layout | undefined;
}

/** Types of an input for images; what is not float32 is cast on the way (`float32Interface`). */
export const IMAGE_TYPES: readonly ElementType[] = ["float32", "float16", "uint8"];

/** How an input's axes are to be read. */
export interface ImageAxes {
  readonly batch: Dim;
  readonly channels: Dim;
  readonly height: Dim;
  readonly width: Dim;
}

/**
 * The one input of a model of images.
 * @throws PenniError "bad-data" if it has none, or several
 */
export function imageInput(model: Graph): ImageInput {
  const input = onlyInput(model);
  const shape = input.type?.shape;
  return {
    name: input.name,
    elementType: input.type?.elementType,
    shape,
    layout: layoutOf(shape) ?? readersLayout(model, input.name),
  };
}

/** The axes of an image input; undefined where its rank is not that of images. */
export function imageAxes(shape: Shape | undefined, layout: Layout): ImageAxes | undefined {
  if (shape?.length !== 4) return undefined;
  const [batch, ...rest] = shape;
  const [channels, height, width] = layout === "NHWC" ? [rest[2], rest[0], rest[1]] : rest;
  return { batch, channels, height, width };
}

function onlyInput(model: Graph): ValueInfo {
  const [input, ...more] = model.inputs;
  if (input !== undefined && more.length === 0) return input;
  throw new PenniError("bad-data", "images go into models with a single input", {
    expected: "1 input",
    found: `${model.inputs.length}: ${model.inputs.map((info) => info.name).join(", ") || "none"}`,
    advice: "Make the other inputs constants, or export the model without them",
  });
}

const areChannels = (dim: Dim): boolean => dim === 1 || dim === 3;

/** One axis has as many channels as pictures, the other one has not. */
function layoutOf(shape: Shape | undefined): Layout | undefined {
  if (shape?.length !== 4) return undefined;
  const [first, last] = [areChannels(shape[1]), areChannels(shape[3])];
  if (first === last) return undefined;
  return first ? "NCHW" : "NHWC";
}

/** Exporters that keep the other layout outside (tf2onnx) begin with a Transpose. */
function readersLayout(model: Graph, input: string): Layout | undefined {
  const reader = model.nodes.find((node) => node.inputs.includes(input));
  if (reader?.op === "Cast")
    return hasOutput(reader, 0) ? readersLayout(model, outputOf(reader, 0)) : undefined;
  if (reader?.op !== "Transpose") return undefined;
  return intsAttribute(reader, "perm")?.join() === "0,3,1,2" ? "NHWC" : undefined;
}
