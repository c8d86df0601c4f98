import { Tensor as OrtTensor } from "onnxruntime-common";
import { messageOf, PenniError } from "../graph/errors.js";
import type { ElementType, Graph, Tensor } from "../graph/types.js";
import type { Provider } from "./device.js";

export type { OrtTensor };

/** How hard the runtime optimizes a graph when it loads it. */
export type OptimizationLevel = "disabled" | "basic" | "extended" | "all";

export interface SessionOptions {
  /** Threads within one operator, from 1; by default the runtime's choice (one per physical core). */
  readonly threads?: number;
  /** Default: "all". */
  readonly optimization?: OptimizationLevel;
  /**
   * Whether the runtime takes the memory of all intermediate values as one block, planned in its first run
   * (default). Without, a value's memory is free as soon as nothing reads the value any more: a training step
   * then needs 60 to 75 % of the memory, at the same speed.
   */
  readonly memoryPattern?: boolean;
  /**
   * Whether the session's threads wait for more work by turning (default). Where sessions take turns, the threads of
   * the one that is done keep the processor from the other: a teacher then cost twice its time.
   */
  readonly spinning?: boolean;
  /** Where the graph runs; default "cpu". What the provider lacks runs on the CPU. */
  readonly provider?: Provider;
  /**
   * Outputs to leave on the device, for feeding them to another run; only for providers that keep outputs
   * (`keepsOutputs`). Such a tensor has no data, must be disposed, and must not outlive the last session of
   * its provider: freeing it after that crashes the process.
   */
  readonly residentOutputs?: readonly string[];
  /**
   * Whether every run is given a tensor for each output that it is asked for, and returns these very tensors. Without,
   * onnxruntime-node copies each output that it has written there into a new array besides, and returns that: for the
   * state of a wide network a tenth of a training step. Default: false.
   */
  readonly returnsTargets?: boolean;
}

/** What the user feeds, by input name. */
export type Feeds = Readonly<Record<string, OrtTensor>>;
/** Outputs to compute: names, or by name a tensor to write into (null: let the runtime allocate). */
export type Fetches = readonly string[] | Readonly<Record<string, OrtTensor | null>>;

/** A graph loaded into ONNX Runtime. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph once; all outputs without `fetches`. A tensor to write into may be one that is fed, if whatever the
   * graph reads it for comes before (see `train/in_place.ts`).
   * @throws PenniError "bad-data" if the feeds do not fit the graph, "bad-model" if a node fails.
   */
  run(feeds: Feeds, fetches?: Fetches): Promise<Readonly<Record<string, OrtTensor>>>;
  /** Frees the session's memory; it cannot run any more. */
  release(): Promise<void>;
}

/** Something that executes graphs: ONNX Runtime for Node, or for the web. */
export interface Engine {
  /** @throws PenniError "bad-model" if the runtime refuses the graph. */
  openSession(graph: Graph | Uint8Array, options?: SessionOptions): Promise<Session>;
}

const toRuntime = {
  float32: (bytes: ArrayBuffer) => new Float32Array(bytes),
  float64: (bytes: ArrayBuffer) => new Float64Array(bytes),
  int8: (bytes: ArrayBuffer) => new Int8Array(bytes),
  int16: (bytes: ArrayBuffer) => new Int16Array(bytes),
  int32: (bytes: ArrayBuffer) => new Int32Array(bytes),
  int64: (bytes: ArrayBuffer) => new BigInt64Array(bytes),
  uint8: (bytes: ArrayBuffer) => new Uint8Array(bytes),
  uint16: (bytes: ArrayBuffer) => new Uint16Array(bytes),
  uint32: (bytes: ArrayBuffer) => new Uint32Array(bytes),
  uint64: (bytes: ArrayBuffer) => new BigUint64Array(bytes),
  bool: (bytes: ArrayBuffer) => new Uint8Array(bytes),
} satisfies Partial<Record<ElementType, (bytes: ArrayBuffer) => ArrayBufferView>>;

type RuntimeType = keyof typeof toRuntime;

function isRuntimeType(type: string): type is RuntimeType {
  return Object.hasOwn(toRuntime, type);
}

/**
 * A copy of a tensor for the runtime.
 * @throws PenniError "unsupported" for strings, half floats and unknown types.
 */
export function toOrtTensor(tensor: Tensor): OrtTensor {
  const { type, dims, bytes } = tensor;
  if (!isRuntimeType(type)) {
    throw new PenniError("unsupported", "cannot feed a tensor of this type", {
      expected: Object.keys(toRuntime).join(", "),
      found: type,
    });
  }
  return new OrtTensor(type, toRuntime[type](new Uint8Array(bytes).buffer), dims);
}

/**
 * The tensor that the runtime computed; shares its memory.
 * @throws PenniError "unsupported" for strings, half floats and unknown types.
 */
export function fromOrtTensor(tensor: OrtTensor): Tensor {
  const { type, dims, data } = tensor;
  if (!isRuntimeType(type) || !ArrayBuffer.isView(data)) {
    throw new PenniError("unsupported", "cannot read an output of this type", { found: type });
  }
  return { type, dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** Loads a graph, runs it once with all outputs, and frees it: for tests and small constant graphs. */
export async function runGraphOn(
  engine: Engine,
  graph: Graph | Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  options: SessionOptions = {},
): Promise<Map<string, Tensor>> {
  const session = await engine.openSession(graph, options);
  try {
    const entries = [...feeds].map(([name, tensor]) => [name, toOrtTensor(tensor)] as const);
    const outputs = await session.run(Object.fromEntries(entries));
    return new Map(Object.entries(outputs).map(([name, tensor]) => [name, fromOrtTensor(tensor)]));
  } finally {
    await session.release();
  }
}

/** The runtime's message in one line, without its error code and source position. */
function runtimeMessage(error: unknown): string {
  const text = messageOf(error);
  const line = text.replace(/\s+/g, " ").trim();
  const message = line
    .replace(/^(Error: )?\[ErrorCode:\w+\] /, "")
    .replace(/ERROR_CODE: \d+, ERROR_MESSAGE: /, "")
    .replace(/\/\S*\.(?:h|cc|cpp|cu):\d+ (?:[\w:<>*& ]+\(.*?\) (?:const )?(?=\S))?/, "");
  return message.length > 500 ? `${message.slice(0, 500)}...` : message;
}

/** A failure to load a graph as a PenniError. */
export function loadError(error: unknown): PenniError {
  if (error instanceof PenniError) return error;
  return new PenniError(
    "bad-model",
    "ONNX Runtime cannot load the model",
    { found: runtimeMessage(error) },
    { cause: error },
  );
}

const FEED_PROBLEM =
  /invalid (dimensions|rank)|unexpected input data type|invalid (input|feed)|missing in 'feeds'|input .* is missing/i;

/** A failure to run a graph as a PenniError: "bad-data" where the feeds are to blame. */
export function runError(error: unknown): PenniError {
  if (error instanceof PenniError) return error;
  const found = runtimeMessage(error);
  if (FEED_PROBLEM.test(found)) {
    return new PenniError("bad-data", "the inputs do not fit the model", { found }, { cause: error });
  }
  return new PenniError("bad-model", "ONNX Runtime cannot run the model", { found }, { cause: error });
}
