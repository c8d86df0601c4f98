/** A kind of file that is often taken for an ONNX model, told by its first bytes, and what leads from it to one. */
export interface ForeignFormat {
  readonly name: string;
  readonly advice: string;
}

interface Signature extends ForeignFormat {
  readonly matches: (file: FileStart) => boolean;
}

/** Bytes that a format is told by: names inside an archive stand within the first of them, and in its last. */
const LOOKED_AT = 2 ** 16;

/** The beginning of a file as bytes and, one character for each byte, as text; of its end the text alone. */
interface FileStart {
  readonly bytes: Uint8Array;
  readonly start: string;
  readonly end: string;
}

const latin1 = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

const isArchive = ({ start }: FileStart): boolean => start.startsWith("PK\x03\x04");
const archiveHolds =
  (name: string) =>
  (file: FileStart): boolean =>
    isArchive(file) && (file.start.includes(name) || file.end.includes(name));
const startsWith =
  (...texts: readonly string[]) =>
  ({ start }: FileStart): boolean =>
    texts.some((text) => start.startsWith(text));
const hasAt =
  (offset: number, text: string) =>
  ({ start }: FileStart): boolean =>
    start.startsWith(text, offset);

const PYTORCH = 'Load it in Python and export it: torch.onnx.export(model.eval(), example, "model.onnx")';
const KERAS =
  "Convert it in Python: model.export(DIR), then python -m tf2onnx.convert --saved-model DIR --output model.onnx";
const TENSORFLOW =
  "Convert it in Python: python -m tf2onnx.convert --saved-model DIR (or --graphdef FILE) --output model.onnx";
const TFLITE = "Convert it in Python: python -m tf2onnx.convert --tflite FILE --output model.onnx";
const OPENVINO = "Take the network that it was converted from, or export that again as ONNX";
const COREML = "Export the network that it was converted from as ONNX, for example with torch.onnx.export";
const UNPACK = "Unpack it, and give the .onnx file that is inside";

/** In this order: what is more special comes first. */
const signatures: readonly Signature[] = [
  { name: "a Keras model (.keras)", advice: KERAS, matches: archiveHolds("model.weights.h5") },
  { name: "a PyTorch file (.pt, .pth)", advice: PYTORCH, matches: archiveHolds("data.pkl") },
  { name: "a Core ML package", advice: COREML, matches: archiveHolds("com.apple.CoreML") },
  { name: "a zip archive", advice: UNPACK, matches: isArchive },
  { name: "a PyTorch file (.pt, .pth)", advice: PYTORCH, matches: isOldPyTorch },
  {
    name: "a Python pickle",
    advice: PYTORCH,
    matches: startsWith("\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"),
  },
  { name: "a TensorFlow Lite model (.tflite)", advice: TFLITE, matches: hasAt(4, "TFL3") },
  { name: "a Keras or HDF5 file (.h5)", advice: KERAS, matches: startsWith("\x89HDF\r\n\x1a\n") },
  {
    name: "a safetensors file, which holds weights without a network",
    advice: PYTORCH,
    matches: isSafetensors,
  },
  { name: "a GGUF file", advice: "Penni takes convolutional networks as .onnx", matches: startsWith("GGUF") },
  { name: "an ncnn network", advice: OPENVINO, matches: startsWith("7767517") },
  {
    name: "a pointer of Git LFS, not the file itself",
    advice: "Fetch the file: git lfs pull",
    matches: startsWith("version https://git-lfs"),
  },
  {
    name: "a web page, perhaps in place of a download",
    advice: "Download the file itself (of a hosted repository, the raw file)",
    matches: ({ start }) => /^\s*(?:<!doctype html|<html)/i.test(start),
  },
  { name: "an XML file, as OpenVINO writes", advice: OPENVINO, matches: startsWith("<?xml", "<net") },
  {
    name: "a TensorFlow.js model",
    advice: TENSORFLOW,
    matches: ({ start }) => /^\s*\{[\s\S]*"modelTopology"/.test(start),
  },
  {
    name: "a JSON file",
    advice: "Give the .onnx file",
    matches: ({ start }) => /^\s*[{[]\s*["\]}]/.test(start),
  },
  { name: "a gzip-compressed file", advice: UNPACK, matches: startsWith("\x1f\x8b") },
  {
    name: "a compiled WebAssembly module",
    advice: "Give the .onnx file that it was compiled from",
    matches: startsWith("\0asm"),
  },
  {
    name: "an ONNX Runtime (.ort) model",
    advice: "Give the .onnx file that it was converted from",
    matches: hasAt(4, "ORTM"),
  },
  {
    name: "a picture",
    advice: "Give the .onnx file first, pictures with --data",
    matches: startsWith("\x89PNG", "\xff\xd8\xff", "GIF8", "RIFF"),
  },
  { name: "a TensorFlow model (.pb)", advice: TENSORFLOW, matches: isTensorFlow },
  { name: "a Core ML model (.mlmodel)", advice: COREML, matches: isCoreMl },
];

/** Before 1.6, PyTorch wrote pickles that begin with its own magic number. */
function isOldPyTorch({ start }: FileStart): boolean {
  return start.startsWith("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
}

/** Eight bytes with the length of a JSON header, which follows. */
function isSafetensors({ bytes, start }: FileStart): boolean {
  const length = bytes.subarray(0, 8).reduceRight((sum, byte) => 256 * sum + byte, 0);
  return length > 1 && length < 2 ** 32 && start.startsWith('{"', 8);
}

/** Tags of protobuf: field 1 as a number, field 1 as a message, field 2 as a message. */
const [VERSION, LIST, DESCRIPTION] = [0x08, 0x0a, 0x12];

/** A SavedModel has a version and a MetaGraphDef, a GraphDef begins with nodes: both name operators that only it has. */
function isTensorFlow({ bytes, start }: FileStart): boolean {
  const isMessage = bytes[0] === VERSION || bytes[0] === LIST;
  return isMessage && /Placeholder|VarHandleOp|ReadVariableOp|saved_model/.test(start);
}

/** A specification version of one digit and a description whose first field is a list of named inputs. */
function isCoreMl({ bytes }: FileStart): boolean {
  const [tag, version, description] = bytes;
  if (version === undefined) return false;
  const listAt = bytes.subarray(3).findIndex((byte) => byte < 0x80) + 4;
  return (
    tag === VERSION && version > 0 && version < 16 && description === DESCRIPTION && bytes[listAt] === LIST
  );
}

/** What a file that is no ONNX model is instead, as far as that can be told. */
export function foreignFormat(bytes: Uint8Array): ForeignFormat | undefined {
  const file = {
    bytes,
    start: latin1(bytes.subarray(0, LOOKED_AT)),
    end: latin1(bytes.subarray(Math.max(0, bytes.byteLength - LOOKED_AT))),
  };
  const found = signatures.find(({ matches }) => matches(file));
  return found === undefined ? undefined : { name: found.name, advice: found.advice };
}
