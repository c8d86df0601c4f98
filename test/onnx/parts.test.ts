import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { newNetwork } from "../../src/networks/index.js";
import { ModelProtoSchema } from "../../src/onnx/gen/onnx_pb.js";
import { decodeModel } from "../../src/onnx/read.js";
import { encodedSize, encodeModel, encodeModelParts } from "../../src/onnx/write.js";

const network = newNetwork("resnet20", {
  classes: 10,
  image: [3, 32, 32],
  seed: 1,
  metadata: new Map([["key", "value"]]),
});

/** A field that no version of ONNX has, at the end of a message. */
const UNKNOWN = Uint8Array.of(0xfa, 0x3f, 3, 1, 2, 3);

test("a model's bytes are those of the protobuf library, large weights and unknown fields included", () => {
  const proto = fromBinary(ModelProtoSchema, encodeModel(network));
  const [first] = proto.graph?.initializer ?? [];
  assert.ok(first !== undefined && first.rawData.byteLength > 0);
  first.docString = "the first";
  const bytes = Buffer.concat([toBinary(ModelProtoSchema, proto), UNKNOWN]);
  const again = encodeModel(decodeModel(bytes));
  const read = fromBinary(ModelProtoSchema, again);
  assert.ok(Buffer.from(toBinary(ModelProtoSchema, read)).equals(again));
  assert.equal(read.graph?.initializer[0]?.docString, "the first");
  assert.deepEqual(Buffer.from(again.subarray(-UNKNOWN.length)), Buffer.from(UNKNOWN));
});

test("large weights are parts themselves, not copies, and stay as they are", () => {
  const before = [...network.initializers.values()].map(({ bytes }) => Uint8Array.from(bytes));
  const parts = encodeModelParts(network);
  const large = [...network.initializers.values()].filter(({ bytes }) => bytes.byteLength >= 4096);
  assert.ok(large.length > 10);
  for (const { bytes } of large) assert.ok(parts.includes(bytes));
  assert.deepEqual(Buffer.concat(parts), Buffer.from(encodeModel(network)));
  assert.equal(encodedSize(network), encodeModel(network).byteLength);
  assert.deepEqual(
    [...network.initializers.values()].map(({ bytes }) => Uint8Array.from(bytes)),
    before,
  );
});
