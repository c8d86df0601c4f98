/** An input or output of a model, as one run takes or gives it. */
export interface Port {
  readonly name: string;
  readonly dims: readonly number[];
  /** The model's element type: "float32", "int64", ... */
  readonly type: string;
}

/** Elements of an input in row-major order: as many as its dimensions say, or a multiple of that. */
export type InputData =
  | Float32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigInt64Array;

/**
 * Elements of an output: Int32Array where the model's type is an integer of any size (indices of ArgMax, say), a
 * Uint8Array of 0 and 1 where it is bool, else Float32Array.
 */
export type OutputData = Float32Array | Int32Array | Uint8Array;

/** An `ImageData`, or anything like it. */
export interface ImageLike {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and alpha of each pixel, row by row. Transparent parts count as black. */
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** How an image comes to a model's size: cut to its proportions, stretched, or kept whole with a frame around it. */
export type Resize = "cover" | "stretch" | "letterbox";

/** All that says how an image comes to a model's size. */
export interface Fit {
  /** Default: "cover". */
  readonly resize?: Resize;
  /**
   * The share of a larger result's sides that is cut out of its middle, in thousandths (1): 0.875 resizes for 256 pixels
   * and takes 224 of them. Not with "letterbox".
   */
  readonly crop?: number | undefined;
  /** Levels of the frame of "letterbox": red, green, blue (114 each). */
  readonly pad?: readonly number[] | undefined;
}

export interface ClassScore {
  readonly index: number;
  /** The index in words where the model has no class names. */
  readonly name: string;
  /** From 0 to 1; those of all classes add up to 1. */
  readonly probability: number;
}

/** @typeParam Output what `run` returns: the data of the one output, or data by name where there are several */
export interface Model<Output extends OutputData | Readonly<Record<string, OutputData>> = Float32Array> {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly classNames: readonly string[] | undefined;
  /** How an image comes to the model's size, as its metadata say; undefined where they say nothing. */
  readonly fit: Fit | undefined;
  /** Whether a build runs whose last digits differ between machines: relaxed SIMD, or more than an addon's baseline. */
  readonly relaxed: boolean;
  /** The instructions that an addon was found to run with: "avx512", "avx2" or "baseline"; undefined for WebAssembly. */
  readonly isa: string | undefined;
  /**
   * Computes the outputs, image by image where the inputs hold several (in steps of the batch that the model fixes).
   * @param input data of the one input, or of all inputs by name. Inputs of floating-point types take Float32Array,
   *   others any typed array; values are computed in float32.
   * @returns new arrays, those of several images one after the other
   * @throws TypeError or RangeError naming the input, what was expected and what was found
   */
  run(input: InputData | Readonly<Record<string, InputData>>): Output;
  /**
   * As `run`, but an addon computes on one of Node's own threads (libuv's) from a copy of the inputs: several calls at once
   * use several cores. WebAssembly computes before this returns.
   * @throws what `run` throws, as a rejection
   */
  runAsync(input: InputData | Readonly<Record<string, InputData>>): Promise<Output>;
  /**
   * An image as the model's input: resized, with the channels, layout and values that the model's metadata states, the
   * very numbers that it was trained and measured on; made grey for models of one channel.
   * @throws TypeError if the model does not take one image or does not say how it wants it
   */
  prepare(image: ImageLike): Float32Array;
  /**
   * What a classifier sees in an image, most probable first: `run` on what `prepare` makes of it. Outputs that are no
   * probabilities yet go through a softmax.
   * @throws TypeError if the model is no classifier of images or does not say how it wants them
   */
  classify(image: ImageLike): readonly ClassScore[];
}

/** What has a module's bytes: a `Response`, or a `Blob`. */
export interface Body {
  readonly ok?: boolean;
  readonly status?: number;
  readonly url?: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * A `WebAssembly.Module`, as hosts that compile no bytes (Cloudflare's workers) import it. Its relaxed SIMD is not used,
 * and `verify` cannot be asked for.
 */
export type CompiledModule = object;

/**
 * Bytes, where to get them (a URL, or in Node the path of a file), a response that has them, or a compiled module; in Node
 * also the path or file URL of a `.node` addon.
 */
export type Source =
  | ArrayBuffer
  | ArrayBufferView
  | string
  | { readonly href: string }
  | Body
  | CompiledModule;

export interface LoadOptions {
  /**
   * Whether the module is compared with the SHA-256 digest that it carries, which tells any byte that was changed or
   * lost since it was compiled (default: false): a damaged module may compute wrong numbers, or never end. Whoever
   * changes a module on purpose can change the digest too: against that, fetch it with the `integrity` that you know, as
   * in `load(fetch(url, { integrity: "sha256-..." }))`. Pages need a secure context (https, or localhost) for it.
   */
  readonly verify?: boolean;
  /** Whether relaxed SIMD, or more than an addon's baseline, is used where the host has it (default: true). */
  readonly relaxed?: boolean;
  /**
   * The instructions that an addon runs with: "avx512", "avx2" or "baseline" (default: what the environment's PENNI_ISA
   * says, else the best that the machine has).
   */
  readonly isa?: string;
}
