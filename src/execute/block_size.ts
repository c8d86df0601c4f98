import { int } from "../graph/attributes.js";
import { float32Data, float32Tensor } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { runGraph } from "./node.js";

/** More channels than any processor's block has. */
const CHANNELS = 64;

/** With blocks of 16 (AVX-512), and of 8 (AVX2, emulated). */
const TESTED_ARCHITECTURE = "x64";

let known: Promise<number | undefined> | undefined;

/**
 * Channels of a block of ONNX Runtime's own blocked layout on this processor (16 with AVX-512, else 8);
 * undefined where the runtime has none, and on processors on which Penni's use of it was never tested. Asked of
 * the runtime once per process: an image of two pixels is reordered, and the second pixel of the first channel
 * comes right behind the first block.
 */
export function blockSize(): Promise<number | undefined> {
  known ??= process.arch === TESTED_ARCHITECTURE ? probe() : Promise.resolve(undefined);
  return known;
}

async function probe(): Promise<number | undefined> {
  const image = Float32Array.from({ length: CHANNELS * 2 }, (_, index) => index);
  try {
    const outputs = await runGraph(reorder, new Map([["x", float32Tensor([1, CHANNELS, 1, 2], image)]]));
    const blocked = outputs.get("y");
    const block = blocked === undefined ? -1 : float32Data(blocked).indexOf(1);
    return block > 1 && block <= CHANNELS ? block : undefined;
  } catch {
    // Not every build of the runtime has the blocked operators.
    return undefined;
  }
}

const reorder: Graph = {
  name: "block_size",
  opsets: new Map([
    ["", 13],
    ["com.microsoft.nchwc", 1],
  ]),
  inputs: [{ name: "x", type: { elementType: "float32", shape: [1, CHANNELS, 1, 2] } }],
  outputs: [{ name: "y", type: undefined }],
  nodes: [
    {
      name: "reorder",
      op: "ReorderInput",
      domain: "com.microsoft.nchwc",
      inputs: ["x"],
      outputs: ["y"],
      attributes: new Map([["channels_last", int(0)]]),
    },
  ],
  initializers: new Map(),
  valueInfo: new Map(),
  metadata: new Map(),
};
