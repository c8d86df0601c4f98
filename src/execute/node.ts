import { env, InferenceSession, Tensor as NodeTensor } from "onnxruntime-node";
import type { Graph, Tensor } from "../graph/types.js";
import { encodeModel } from "../onnx/write.js";
import {
  type Engine,
  type Feeds,
  type Fetches,
  loadError,
  runError,
  runGraphOn,
  type Session,
  type SessionOptions,
} from "./engine.js";

/** Fatal only: errors are thrown, and nothing is printed on the side. */
const SILENT = 4;

/**
 * Fetches with tensors of the class that onnxruntime-node itself uses, over the same memory: it silently
 * ignores others, and onnxruntime-common exists twice, as an ES module and as a CommonJS one.
 */
function ownFetches(fetches: Fetches): readonly string[] | Readonly<Record<string, NodeTensor | null>> {
  if (isNames(fetches)) return fetches;
  return Object.fromEntries(
    Object.entries(fetches).map(([name, tensor]) => [
      name,
      tensor === null || tensor instanceof NodeTensor
        ? tensor
        : new NodeTensor(tensor.type, tensor.data, tensor.dims),
    ]),
  );
}

function isNames(fetches: Fetches): fetches is readonly string[] {
  return Array.isArray(fetches);
}

class NodeSession implements Session {
  constructor(private readonly session: InferenceSession) {}

  get inputNames(): readonly string[] {
    return this.session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.session.outputNames;
  }

  async run(feeds: Feeds, fetches?: Fetches): ReturnType<Session["run"]> {
    try {
      if (fetches === undefined) return await this.session.run(feeds);
      return await this.session.run(feeds, ownFetches(fetches));
    } catch (error) {
      throw runError(error);
    }
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

/**
 * Loads a graph, or the bytes of an .onnx file, into ONNX Runtime for Node (CPU).
 * @throws PenniError "bad-model" if the runtime refuses it.
 */
export async function openSession(graph: Graph | Uint8Array, options: SessionOptions = {}): Promise<Session> {
  env.logLevel = "fatal";
  const bytes = graph instanceof Uint8Array ? graph : encodeModel(graph);
  try {
    const session = await InferenceSession.create(bytes, {
      graphOptimizationLevel: options.optimization ?? "all",
      logSeverityLevel: SILENT,
      ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
    });
    return new NodeSession(session);
  } catch (error) {
    throw loadError(error);
  }
}

/** ONNX Runtime for Node. */
export const nodeEngine: Engine = { openSession };

/** Runs a graph once on ONNX Runtime for Node: values by input name in, all outputs out. */
export function runGraph(
  graph: Graph | Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  options: SessionOptions = {},
): Promise<Map<string, Tensor>> {
  return runGraphOn(nodeEngine, graph, feeds, options);
}
