import { type PictureFormat, pictureFormat } from "../../../src/data/picture_format.js";
import { present } from "../../../src/graph/at.js";
import { PenniError } from "../../../src/graph/errors.js";
import { IMAGE_TYPES, imageAxes, imageInput } from "../../../src/graph/image_input.js";
import { fixBatch, specializeInputs } from "../../../src/graph/passes/fix_input_shape.js";
import type { Dim, Graph, ValueInfo } from "../../../src/graph/types.js";
import { importForCompression } from "../../../src/method/import_for_compression.js";
import { mergeDecompositions } from "../../../src/method/merge_decompositions.js";
import { quantizedNode } from "../../../src/method/remarks.js";
import { decodeModel } from "../../../src/onnx/read.js";
import type { ExternalData } from "../../../src/onnx/tensors.js";
import { dequantize } from "../../../src/ops/passes/dequantize.js";
import type { ImageDims } from "../../../src/runtime/index.js";

/** Sizes of inputs that a model leaves open, by input name; the batch may be anything. */
export type InputSizes = Readonly<Record<string, readonly number[]>>;

/** An input with a dimension, besides the batch, that must be chosen before anything can be counted. */
export interface OpenInput {
  readonly name: string;
  /** As the file has them; undefined where a size is open. */
  readonly dims: readonly (number | undefined)[];
}

/** How a network takes pictures. */
export interface PictureInput {
  readonly format: PictureFormat;
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
}

/** A network that is ready for everything the page does with it. */
export interface Network {
  /** As the file has it, with sizes. */
  readonly given: Graph;
  /** Imported: what is compressed. */
  readonly graph: Graph;
  /** The same with dense kernels wherever it came decomposed: what the sliders begin with. */
  readonly dense: Graph;
  readonly fileBytes: number;
  /** Undefined where it takes something else than pictures. */
  readonly pictures: PictureInput | undefined;
  /** Whether it is the float32 network behind the file's integers. */
  readonly isDequantized: boolean;
}

export type Opened =
  | { readonly kind: "network"; readonly network: Network }
  | { readonly kind: "open sizes"; readonly inputs: readonly OpenInput[] };

/** Files of external data by their names, without folders. */
export type DataFiles = ReadonlyMap<string, ExternalData>;

/**
 * A network from the bytes of its file.
 * @param data files beside it, for networks whose weights are not inside
 * @throws PenniError with what is wrong and what to do about it
 */
export function openNetwork(bytes: Uint8Array, sizes: InputSizes = {}, data: DataFiles = new Map()): Opened {
  const model = decodeModel(bytes, { external: (location) => dataFile(location, data) });
  const given = specializeInputs(model, new Map(Object.entries(sizes)));
  const inputs = given.inputs.filter(isOpen).map(openInput);
  if (inputs.length > 0) return { kind: "open sizes", inputs };
  const isDequantized = quantizedNode(given) !== undefined;
  const single = isDequantized ? dequantize(fixBatch(given, 1)).graph : given;
  const graph = importForCompression(single);
  return {
    kind: "network",
    network: {
      given,
      graph,
      dense: mergeDecompositions(graph).graph,
      fileBytes: [...data.values()].reduce((sum, file) => sum + file.byteLength, bytes.byteLength),
      pictures: pictureInput(given),
      isDequantized,
    },
  };
}

function dataFile(location: string, data: DataFiles): ExternalData {
  const name = location.split(/[/\\]/).at(-1) ?? location;
  const found = data.get(name);
  if (found !== undefined) return found;
  throw new PenniError("bad-file", `the network's weights are in another file, "${name}"`, {
    advice: "Drop or choose both files together",
  });
}

const isOpenDim = (dim: Dim, axis: number): boolean => axis > 0 && typeof dim !== "number";

const isOpen = ({ type }: ValueInfo): boolean => type?.shape?.some(isOpenDim) === true;

function openInput({ name, type }: ValueInfo): OpenInput {
  return { name, dims: present(type?.shape).map((dim) => (typeof dim === "number" ? dim : undefined)) };
}

/** The pictures that a network takes, if it has one input that looks like it. */
function pictureInput(graph: Graph): PictureInput | undefined {
  if (graph.inputs.length !== 1) return undefined;
  const { elementType, shape } = imageInput(graph);
  if (shape?.length !== 4 || elementType === undefined || !IMAGE_TYPES.includes(elementType))
    return undefined;
  const format = pictureFormat(graph);
  const axes = imageAxes(shape, format.preprocessing.layout);
  const { channels, height, width } = axes ?? {};
  if ((channels !== 1 && channels !== 3) || typeof height !== "number" || typeof width !== "number")
    return undefined;
  return format.preprocessing.mean.length === channels ? { format, channels, height, width } : undefined;
}

/** Dimensions of one picture before its values are changed: channels first. */
export const pictureDims = ({ channels, height, width }: PictureInput): ImageDims => [
  channels,
  height,
  width,
];
