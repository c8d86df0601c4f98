import { readFile } from "node:fs/promises";
import { exportModel } from "../../src/method/export.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { sharedPath } from "../../support/shared.js";
import { paperResnet18 } from "../sparse_resnet18.js";

/** A network as it was and compressed, both as ONNX files. */
export interface InferenceNetwork {
  readonly name: string;
  readonly dense: Uint8Array;
  /** Absent where nobody has compressed it. */
  readonly compressed: Uint8Array | undefined;
  /** Where the weights come from. */
  readonly note: string;
}

export const INPUT_DIMS = [1, 3, 32, 32] as const;

/** @param files compressed networks that `penni compress` wrote, by name */
export async function inferenceNetworks(
  files: ReadonlyMap<string, string>,
): Promise<readonly InferenceNetwork[]> {
  const pattern = paperResnet18();
  const percent = (share: number): string => `${(100 * (1 - share)).toFixed(1)} %`;
  const resnet18: InferenceNetwork = {
    name: "resnet18",
    dense: encodeModel(pattern.original),
    compressed: encodeModel((await exportModel(pattern.compressed)).graph, { sparse: true }),
    note:
      `random weights, pruned layer by layer: ${percent(pattern.parameters)} of the parameters and ` +
      `${percent(pattern.macs)} of the multiply-accumulates removed`,
  };
  const trained = ["resnet20", "resnet56"].map(async (name): Promise<InferenceNetwork> => {
    const file = files.get(name);
    const compressed = file === undefined ? undefined : new Uint8Array(await readFile(file));
    const dense = encodeModel(decodeModel(new Uint8Array(await readFile(sharedPath(`models/${name}.onnx`)))));
    return {
      name,
      dense,
      compressed,
      note: file === undefined ? "trained, not compressed" : `trained; ${file}`,
    };
  });
  return [resnet18, ...(await Promise.all(trained))];
}
