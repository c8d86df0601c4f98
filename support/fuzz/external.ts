import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Random } from "../../src/data/random.js";
import { readModel } from "../../src/files/model_files.js";
import type { Graph } from "../../src/graph/types.js";
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
} from "../../src/onnx/gen/onnx_pb.js";
import { chance, pick } from "./draw.js";
import { Finding, Passage, type Refusals, takeThrough } from "./passage.js";
import { ownModels } from "./seed_models.js";

/** What lies outside the model's directory is full of this byte, and nothing inside is. */
const SECRET_BYTE = 0xd7;
const SECRET_BYTES = 65536;

const locations: readonly string[] = [
  ..."data.bin data.bin data.bin ./data.bin sub/../data.bin sub//data.bin data.bin/ missing sub . ..".split(
    " ",
  ),
  ..."../secret.bin sub/../../secret.bin ../model/data.bin link.bin sub/link.bin up/secret.bin up loop fifo".split(
    " ",
  ),
  ..."zeros model.onnx ~ file:///etc/passwd C:\\secret.bin \\\\host\\share /etc/passwd /dev/zero".split(" "),
  "",
  " ",
  "data.bin\0",
  "data\n.bin",
  "x".repeat(5000),
  `${"sub/../".repeat(500)}data.bin`,
];

const byteCounts: readonly string[] = [
  ..."0 0 0 4 8 16 64 432 -1 -0 1e3 0x10 abc 4.5 99999999 9007199254740991 9007199254740992".split(" "),
  "18446744073709551616",
  "",
  " 4",
  "9".repeat(400),
];

/** A model whose weights lie beside it, with wrong references here and there. */
function modelWithReferences(random: Random): Uint8Array {
  const model = fromBinary(ModelProtoSchema, pick(random, ownModels).bytes());
  for (const tensor of model.graph?.initializer ?? []) if (chance(random, 0.6)) moveOut(random, tensor);
  return toBinary(ModelProtoSchema, model);
}

function moveOut(random: Random, tensor: TensorProto): void {
  const entries = {
    location: pick(random, locations),
    offset: pick(random, byteCounts),
    length: pick(random, byteCounts),
  };
  // Mostly sound, so that reading gets as far as the next tensor.
  const isSound = chance(random, 0.5);
  const stated = isSound
    ? { location: "data.bin", offset: "0", length: `${tensor.rawData.length}` }
    : Object.fromEntries(Object.entries(entries).filter(() => chance(random, 0.8)));
  tensor.externalData = Object.entries(stated).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  tensor.dataLocation = 1;
  if (chance(random, 0.8)) tensor.rawData = new Uint8Array(0);
}

/** A folder for models, among things that no model may read; given to `use`, then removed. */
async function withTraps<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const root = mkdtempSync(path.join(tmpdir(), "penni-fuzz-"));
  const folder = path.join(root, "model");
  try {
    mkdirSync(path.join(folder, "sub"), { recursive: true });
    writeFileSync(path.join(root, "secret.bin"), new Uint8Array(SECRET_BYTES).fill(SECRET_BYTE));
    writeFileSync(path.join(folder, "data.bin"), new Uint8Array(4096).fill(1));
    symlinkSync("../secret.bin", path.join(folder, "link.bin"));
    symlinkSync("../../secret.bin", path.join(folder, "sub", "link.bin"));
    symlinkSync("..", path.join(folder, "up"));
    symlinkSync("loop", path.join(folder, "loop"));
    symlinkSync("/dev/zero", path.join(folder, "zeros"));
    execFileSync("mkfifo", [path.join(folder, "fifo")]);
    return await use(folder);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function checkNothingLeaked(graph: Graph): void {
  for (const [name, { bytes }] of graph.initializers) {
    if (bytes.length === 0 || bytes.some((byte) => byte !== SECRET_BYTE)) continue;
    throw new Finding("read", `initializer "${name}" holds data from outside the model's directory`);
  }
}

/** Case `index` of models with external data, read from a folder as the command line does. */
export function takeExternalThrough(seed: number, index: number): Promise<Refusals> {
  const bytes = modelWithReferences(new Random(seed, index));
  return withTraps(async (folder) => {
    const file = path.join(folder, "model.onnx");
    writeFileSync(file, bytes);
    const read = await readModel(file).catch((error: unknown) => error);
    const passage = new Passage();
    const graph = passage.attempt("read", () => {
      if (read instanceof Error) throw read;
      return read as Graph;
    });
    if (graph === undefined) return passage.refusals;
    checkNothingLeaked(graph);
    return takeThrough(graph);
  });
}
