import assert from "node:assert/strict";
import { test } from "node:test";
import { PenniError } from "../../src/graph/errors.js";
import { foreignFormat } from "../../src/onnx/foreign_formats.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodeModel } from "../../src/onnx/write.js";
import { tinyCnn } from "../../support/tiny_cnn.js";

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const zip = (...names: readonly string[]): string =>
  names.map((name) => `PK\x03\x04${"\0".repeat(26)}${name}`).join("");
const filler = "\0".repeat(200);

/** The first bytes of files as their writers write them, by what the message has to say. */
const files: readonly (readonly [found: RegExp, advice: RegExp, start: string])[] = [
  [/PyTorch/, /torch\.onnx\.export/, zip("archive/data.pkl", "archive/data/0")],
  [/PyTorch/, /torch\.onnx\.export/, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M"],
  [/pickle/, /torch\.onnx\.export/, "\x80\x04\x95\x1a\0\0\0"],
  [/TensorFlow Lite/, /--tflite/, "\x1c\0\0\0TFL3\x14\0"],
  [/HDF5/, /tf2onnx/, "\x89HDF\r\n\x1a\n\0\0"],
  [/Keras/, /tf2onnx/, zip("metadata.json", "config.json", "model.weights.h5")],
  [/Core ML package/, /ONNX/, zip("Data/com.apple.CoreML/model.mlmodel")],
  [/zip archive/, /Unpack/, zip("model.onnx")],
  [/safetensors/, /torch\.onnx\.export/, '\x40\0\0\0\0\0\0\0{"weight":{"dtype":"F32"'],
  [/GGUF/, /onnx/, "GGUF\x03\0\0\0"],
  [/ncnn/, /ONNX/, "7767517\n75 83\nInput data 0 1 data"],
  [/Git LFS/, /git lfs pull/, "version https://git-lfs.github.com/spec/v1\noid sha256:0"],
  [/web page/, /Download/, "\n<!DOCTYPE html>\n<html>"],
  [/OpenVINO/, /ONNX/, '<?xml version="1.0"?>\n<net name="x">'],
  [/TensorFlow\.js/, /tf2onnx/, '{"format": "graph-model", "modelTopology": {'],
  [/JSON/, /\.onnx/, '{"layers": []}'],
  [/gzip/, /Unpack/, "\x1f\x8b\x08\0"],
  [/WebAssembly/, /compiled from/, "\0asm\x01\0\0\0"],
  [/ONNX Runtime/, /converted from/, "\x18\0\0\0ORTM"],
  [/picture/, /--data/, "\xff\xd8\xff\xe0\0\x10JFIF"],
  [/TensorFlow model/, /--graphdef/, "\x0a\x1e\x0a\x05input\x12\x0bPlaceholder*\x08"],
  [/TensorFlow model/, /--saved-model/, "\x08\x01\x12\xff\x01\x0a\x20\x12\x0aReadVariableOp"],
  [/Core ML model/, /ONNX/, "\x08\x04\x12\xa5\x01\x0a\x2e\x0a\x05image"],
];

test("files of other kinds are named, with the way to ONNX", () => {
  for (const [found, advice, start] of files)
    assert.throws(
      () => decodeModel(bytesOf(start + filler)),
      (error) => {
        assert.ok(error instanceof PenniError, start);
        assert.equal(error.code, "bad-file");
        assert.match(error.message, found);
        assert.match(error.message, advice);
        return true;
      },
    );
});

test("an ONNX model is none of them, whole or cut off", () => {
  const bytes = encodeModel(tinyCnn());
  for (const length of [bytes.byteLength, 1000, 100, 17, 1])
    assert.equal(foreignFormat(bytes.subarray(0, length)), undefined, `${length} bytes`);
  assert.throws(() => decodeModel(bytes.subarray(0, 1000)), /not a valid protobuf|complete/);
});
