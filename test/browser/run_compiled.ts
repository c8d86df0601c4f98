/** Runs anywhere: in Node, a page and a worker. Imports nothing that needs an import map, which workers have not. */
import { type ImageLike, load } from "../../src/runtime/index.js";

/** A compiled classifier with what it is run on, as JSON. */
export interface CompiledCase {
  readonly name: string;
  /** Base64. */
  readonly onnx: string;
  readonly module: string;
  /** Elements of one or several images. */
  readonly input: readonly number[];
  /** Red, green, blue and 255 of each pixel. */
  readonly picture: { readonly width: number; readonly height: number; readonly data: readonly number[] };
}

/** What one build of a module computed. */
export interface CompiledRun {
  readonly relaxed: boolean;
  readonly output: readonly number[];
  /** Index and probability, most probable first. */
  readonly scores: readonly (readonly [number, number])[];
}

export function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** @param imageOf makes what `classify` is given: an ImageData where there is such a thing */
export async function runCompiled(
  { module, input, picture }: CompiledCase,
  imageOf: (image: ImageLike) => ImageLike,
): Promise<readonly CompiledRun[]> {
  const image = imageOf({ ...picture, data: Uint8ClampedArray.from(picture.data) });
  const runs: CompiledRun[] = [];
  for (const relaxed of [false, true]) {
    const model = await load(bytesOf(module), { relaxed });
    runs.push({
      relaxed: model.relaxed,
      output: Array.from(model.run(Float32Array.from(input))),
      scores: model.classify(image).map(({ index, probability }) => [index, probability] as const),
    });
  }
  return runs;
}

/** The part of a browser that is used; the project compiles without the browser's types. */
interface Browser {
  readonly ImageData: new (data: ImageLike["data"], width: number, height: number) => ImageLike;
  readonly OffscreenCanvas: new (
    width: number,
    height: number,
  ) => {
    getContext(kind: "2d"): {
      putImageData(image: ImageLike, x: number, y: number): void;
      getImageData(x: number, y: number, width: number, height: number): ImageLike;
    };
  };
}

/** Pixels as a canvas hands them out. */
export function canvasImage({ data, width, height }: ImageLike): ImageLike {
  const { ImageData, OffscreenCanvas } = globalThis as unknown as Browser;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.putImageData(new ImageData(data, width, height), 0, 0);
  return context.getImageData(0, 0, width, height);
}
