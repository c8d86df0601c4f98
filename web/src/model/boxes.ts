import { type Box, type BoxModel, boxesIn, hasBoxes } from "../../../src/runtime/boxes.js";
import type { Answer } from "./agreement.js";
import type { PictureInput } from "./network.js";

/**
 * What a detector sees; undefined of what is none, and a text of what is one that cannot be read.
 * @param picture the size of a picture that the answer is for; absent where it is already as the network takes it
 */
export function boxesOf(
  answer: Answer,
  names: readonly string[] | undefined,
  input: PictureInput | undefined,
  picture?: { readonly width: number; readonly height: number },
): readonly Box[] | string | undefined {
  if (input === undefined) return undefined;
  const { channels, height, width, format } = input;
  const outputs = Object.entries(answer).map(([name, { dims }]) => ({ name, dims, type: "float32" }));
  const model: BoxModel = {
    inputs: [{ name: "picture", dims: [1, channels, height, width], type: "float32" }],
    outputs,
    classNames: names,
    fit: picture === undefined ? { resize: "stretch" } : format.preprocessing,
  };
  if (!hasBoxes(model)) return undefined;
  const values = Object.fromEntries(Object.entries(answer).map(([name, { data }]) => [name, data]));
  try {
    return boxesIn(model, values, picture ?? { width, height });
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
}
