import type {
  InferenceSession,
  InferenceSessionFactory,
  Tensor as OrtTensor,
  TensorConstructor,
} from "onnxruntime-common";
import { attributes } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { decodeModel } from "../onnx/read.js";
import { encodeModel } from "../onnx/write.js";
import { keepsOutputs, type Provider } from "./device.js";
import {
  type Engine,
  type Feeds,
  type Fetches,
  loadError,
  runError,
  type Session,
  type SessionOptions,
} from "./engine.js";

/** The part that onnxruntime-node and onnxruntime-web have in common. */
export interface Runtime {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
  /** Whether it writes into tensors that it is given for outputs. (onnxruntime-web 1.30 returns them unwritten.) */
  readonly writesOutputs: boolean;
  /** Whether it copies what it has written into them, and returns the copies. (onnxruntime-node 1.30 does.) */
  readonly copiesWritten: boolean;
}

/** How a runtime calls the providers that it has. */
export type ProviderNames = Readonly<Partial<Record<Provider, InferenceSession.ExecutionProviderConfig>>>;

/**
 * WebGPU as Penni uses it, in every runtime. Channels first, although the runtime prefers them last: there,
 * grouped convolutions whose outputs per group are more than four and not a multiple of four are wrong in
 * 1.30 (every decomposed layer with d = 5 is one), and the layout needs no transposes around each operator.
 */
export const WEBGPU = { name: "webgpu", preferredLayout: "NCHW" } as const;

/** Fatal only: errors are thrown, and nothing is printed on the side. */
const SILENT = 4;

class RuntimeSession implements Session {
  constructor(
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
    private readonly returnsTargets: boolean,
  ) {}

  get inputNames(): readonly string[] {
    return this.session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.session.outputNames.filter((name) => name !== UNREADABLE);
  }

  async run(feeds: Feeds, fetches?: Fetches): ReturnType<Session["run"]> {
    try {
      if (fetches === undefined) return await this.session.run(feeds);
      if (isNames(fetches)) return await this.session.run(feeds, fetches);
      if (this.returnsTargets) return await this.runInto(feeds, targetsOnly(fetches));
      const results = await this.session.run(feeds, this.ownFetches(fetches));
      if (!this.runtime.writesOutputs) writeOutputs(fetches, results);
      return results;
    } catch (error) {
      throw runError(error);
    }
  }

  async release(): Promise<void> {
    await this.session.release();
  }

  /** Runs the graph into the tensors given, and keeps the runtime from copying them. */
  private async runInto(feeds: Feeds, targets: Feeds): Promise<Feeds> {
    const { copiesWritten, writesOutputs } = this.runtime;
    const mark = copiesWritten ? { [UNREADABLE]: null } : {};
    try {
      const results = await this.session.run(feeds, { ...mark, ...this.ownFetches(targets) });
      if (!writesOutputs) writeOutputs(targets, results);
    } catch (error) {
      if (!(error instanceof Error && error.message.includes(CANNOT_READ))) throw error;
    }
    return targets;
  }

  /**
   * Fetches with tensors of the class that the runtime itself uses, over the same memory: it silently ignores
   * others, and onnxruntime-common exists several times, as an ES module and inside each runtime.
   */
  private ownFetches(fetches: Targets): Targets {
    const { Tensor, writesOutputs } = this.runtime;
    return Object.fromEntries(
      Object.entries(fetches).map(([name, tensor]) => {
        if (tensor === null || !writesOutputs) return [name, null];
        return [name, tensor instanceof Tensor ? tensor : new Tensor(tensor.type, tensor.data, tensor.dims)];
      }),
    );
  }
}

/** By output name a tensor to write into, or null: the runtime allocates one. */
type Targets = Readonly<Record<string, OrtTensor | null>>;

/**
 * An output that onnxruntime-node computes but cannot hand over: a sequence. Its binding writes outputs where it is
 * told to, then copies each into a new array, in the graph's order (`Run` in js/node/src/inference_session_wrap.cc),
 * and gives up with this message at the first that is no tensor. As the first output it comes after all
 * computation and before all copies. A binding that can hand it over will copy, and nothing else changes.
 */
const UNREADABLE = "penni/unreadable";
const CANNOT_READ = "Non tensor type is temporarily not supported";

function withUnreadable(source: Graph | Uint8Array): Graph {
  const graph = source instanceof Uint8Array ? decodeModel(source) : source;
  const node = {
    name: "",
    op: "SequenceEmpty",
    domain: "",
    inputs: [],
    outputs: [UNREADABLE],
    attributes: attributes({}),
  };
  return {
    ...graph,
    nodes: [node, ...graph.nodes],
    outputs: [{ name: UNREADABLE, type: undefined }, ...graph.outputs],
  };
}

function targetsOnly(fetches: Targets): Feeds {
  return Object.fromEntries(
    Object.entries(fetches).map(([name, tensor]) => {
      if (tensor !== null) return [name, tensor];
      throw new PenniError("internal", `there is no tensor to write output "${name}" into`);
    }),
  );
}

/** Puts results where the caller wants them. */
function writeOutputs(targets: Targets, results: Feeds): void {
  for (const [name, target] of Object.entries(targets)) {
    const result = results[name];
    if (target !== null && result !== undefined)
      (target.data as Float32Array).set(result.data as Float32Array);
  }
}

function isNames(fetches: Fetches): fetches is readonly string[] {
  return Array.isArray(fetches);
}

/**
 * The same graph with a name for each node that WebGPU claims and then fails on, and these names: it has no
 * MaxPool with a second output (the indices, which MaxPool's gradient needs).
 */
function nodesForCpu(graph: Graph): { readonly graph: Graph; readonly names: readonly string[] } {
  const names: string[] = [];
  const nodes = graph.nodes.map((node) => {
    const [output, indices] = node.outputs;
    if (node.op !== "MaxPool" || indices === undefined || indices === "") return node;
    const name = node.name === "" ? `${output}/MaxPool` : node.name;
    names.push(name);
    return { ...node, name };
  });
  return { graph: { ...graph, nodes }, names };
}

/** The file to load, and the provider as the runtime calls it. */
function placed(
  graph: Graph | Uint8Array,
  provider: InferenceSession.ExecutionProviderConfig,
): { readonly bytes: Uint8Array; readonly provider: InferenceSession.ExecutionProviderConfig } {
  if (provider !== WEBGPU) {
    return { bytes: graph instanceof Uint8Array ? graph : encodeModel(graph), provider };
  }
  const named = nodesForCpu(graph instanceof Uint8Array ? decodeModel(graph) : graph);
  // An empty list is refused.
  const forced = named.names.length === 0 ? {} : { forceCpuNodeNames: named.names };
  return { bytes: encodeModel(named.graph), provider: { ...WEBGPU, ...forced } };
}

/** The engine of a runtime. */
export function engineOf(runtime: Runtime, names: ProviderNames): Engine {
  const openSession = async (graph: Graph | Uint8Array, options: SessionOptions = {}): Promise<Session> => {
    const { returnsTargets = false } = options;
    const run = returnsTargets && runtime.copiesWritten ? withUnreadable(graph) : graph;
    const { bytes, provider } = placed(run, providerOf(names, options));
    const settings = sessionSettings(provider, options);
    try {
      const session = await runtime.InferenceSession.create(bytes, settings);
      return new RuntimeSession(runtime, session, returnsTargets);
    } catch (error) {
      throw loadError(error);
    }
  };
  return { openSession };
}

function providerOf(
  names: ProviderNames,
  { provider = "cpu" }: SessionOptions,
): InferenceSession.ExecutionProviderConfig {
  const name = names[provider];
  if (name !== undefined) return name;
  throw new PenniError("unsupported", "this runtime does not have the device", {
    expected: Object.keys(names).join(", "),
    found: provider,
  });
}

function sessionSettings(
  name: InferenceSession.ExecutionProviderConfig,
  {
    provider = "cpu",
    threads,
    optimization = "all",
    memoryPattern = true,
    spinning = true,
    residentOutputs = [],
  }: SessionOptions,
): InferenceSession.SessionOptions {
  const resident = keepsOutputs[provider] ? residentOutputs : [];
  const locations = Object.fromEntries(resident.map((output) => [output, "gpu-buffer"] as const));
  return {
    executionProviders: [name],
    graphOptimizationLevel: optimization,
    enableMemPattern: memoryPattern,
    ...(spinning ? {} : { extra: { session: { intra_op: { allow_spinning: "0" } } } }),
    logSeverityLevel: SILENT,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(resident.length === 0 ? {} : { preferredOutputLocation: locations }),
  };
}
