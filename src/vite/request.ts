import { namedShape } from "../build/named_shape.js";
import { PenniError } from "../graph/errors.js";

/** What an import asks for. */
export interface ModelRequest {
  /** Path of the .onnx file. */
  readonly file: string;
  /** Dimensions of inputs that the model leaves open, by name. */
  readonly inputShapes: ReadonlyMap<string, readonly number[]>;
}

/**
 * What a module's id asks for, as "/site/model.onnx?penni&input=x:1x3x224x224"; undefined if it is none of ours.
 * @throws PenniError "bad-option" if it is ours and says what cannot be understood
 */
export function readRequest(id: string): ModelRequest | undefined {
  const [file, query] = splitOnce(id, "?");
  const settings = new URLSearchParams(query);
  if (!settings.has("penni")) return undefined;
  for (const [name] of settings) {
    // Vite's own: the time of a change, and what marks an import.
    if (["penni", "input", "t", "import"].includes(name)) continue;
    throw unknown(file, `?${name}`);
  }
  return { file, inputShapes: new Map(settings.getAll("input").map((text) => shapeIn(file, text))) };
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + separator.length)];
}

function shapeIn(file: string, text: string): readonly [string, readonly number[]] {
  const shape = namedShape(text);
  if (shape === undefined) throw unknown(file, `input=${text}`);
  return shape;
}

function unknown(file: string, found: string): PenniError {
  return new PenniError("bad-option", "an import of this model says what cannot be understood", {
    file,
    expected: "?penni, with open dimensions ?input=NAME:1x3x224x224&penni",
    found,
  });
}
