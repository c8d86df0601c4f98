import { createHash } from "node:crypto";
import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { parseJson } from "../graph/json.js";
import { firstOf } from "../graph/operands.js";
import { elementCount } from "../graph/tensor.js";
import type { CheckpointTensor } from "./checkpoint_tensor.js";
import { type LossTrend, lossTrendSchema } from "./divergence.js";
import { type EpochMetrics, epochMetricsSchema, type Recovery, recoverySchema } from "./plan.js";

/** What a checkpoint belongs to: nothing else may go on from it. */
export interface StageIdentity {
  /** Digest of the network and its teacher. */
  readonly networks: string;
  /** What else determines the outcome, as JSON by name of the option. */
  readonly options: Readonly<Record<string, string>>;
}

/** Everything a training stage needs to go on as if it had never stopped. */
export interface Checkpoint {
  readonly identity: StageIdentity;
  /** Steps done. */
  readonly step: number;
  /** Sums over the current epoch so far. */
  readonly lossSum: number;
  readonly hits: number;
  readonly images: number;
  /** Absent before the first step. */
  readonly trend?: LossTrend;
  /** How often the loss went bad, in order; each halved the learning rate. */
  readonly recoveries: readonly Recovery[];
  /** Metrics of the epochs that are done. */
  readonly history: readonly EpochMetrics[];
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** The network that is trained, as an ONNX file, if it is no longer the stage's own but a smaller one. */
  readonly network?: Uint8Array;
}

/** Each version starts with its own such line and ends with the SHA-256 of all that is before it. */
const MAGIC = "PENNI-CHECKPOINT-3\n";
const ANY_VERSION = /^PENNI-CHECKPOINT-(\d+)\n/;
const DIGEST_BYTES = 32;

const headerSchema = z.object({
  identity: z.object({ networks: z.string(), options: z.record(z.string(), z.string()) }),
  step: z.number().int().min(0),
  lossSum: z.number(),
  hits: z.number(),
  images: z.number(),
  trend: lossTrendSchema.optional(),
  recoveries: z.array(recoverySchema),
  history: z.array(epochMetricsSchema),
  tensors: z.array(z.object({ name: z.string(), dims: z.array(z.number().int().min(0)) })),
  /** Bytes of the network. */
  network: z.number().int().positive().optional(),
});

/**
 * Layout: magic, length of the header (uint32), header (JSON), float32 data in order, the network if there is one,
 * SHA-256 of it all.
 */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { tensors, network, ...rest } = checkpoint;
  const listed = [...tensors].map(([name, { dims }]) => ({ name, dims }));
  const header = Buffer.from(JSON.stringify({ ...rest, tensors: listed, network: network?.byteLength }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.byteLength);
  const data = [...tensors.values()].map(({ data }) =>
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  );
  const body = Buffer.concat([Buffer.from(MAGIC), length, header, ...data, network ?? new Uint8Array()]);
  return Buffer.concat([body, createHash("sha256").update(body).digest()]);
}

/**
 * @returns "damaged" if the bytes are not a whole, unchanged checkpoint
 * @throws PenniError "bad-file" naming the file if they are one of another version of Penni
 */
export function decodeCheckpoint(bytes: Uint8Array, file: string): Checkpoint | "damaged" {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const body = buffer.subarray(0, Math.max(0, buffer.byteLength - DIGEST_BYTES));
  const digest = createHash("sha256").update(body).digest();
  if (!digest.equals(buffer.subarray(body.byteLength))) return "damaged";
  const found = ANY_VERSION.exec(body.toString("latin1", 0, 2 * MAGIC.length));
  if (found === null) return "damaged";
  const [magic, version] = firstOf(found, 2);
  if (magic !== MAGIC) throw otherVersion(file, version);
  const headerStart = MAGIC.length + 4;
  const headerEnd = headerStart + body.readUInt32LE(MAGIC.length);
  const { data: header } = headerSchema.safeParse(
    parseJson(new TextDecoder().decode(body.subarray(headerStart, headerEnd))),
  );
  if (header === undefined) return "damaged";
  const { trend, network, ...rest } = header;
  const tensors = readTensors(header.tensors, body.subarray(headerEnd));
  return {
    ...rest,
    ...(trend === undefined ? {} : { trend }),
    tensors,
    // A copy, so that the whole file need not stay in memory.
    ...(network === undefined ? {} : { network: Uint8Array.from(body.subarray(-network)) }),
  };
}

function readTensors(
  listed: readonly { readonly name: string; readonly dims: readonly number[] }[],
  bytes: Uint8Array,
): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>();
  let offset = 0;
  for (const { name, dims } of listed) {
    const size = elementCount(dims) * 4;
    // A copy, because the data need not be aligned within the file.
    const data = new Float32Array(Uint8Array.from(bytes.subarray(offset, offset + size)).buffer);
    tensors.set(name, { dims, data });
    offset += size;
  }
  return tensors;
}

function otherVersion(file: string, version: string): PenniError {
  return new PenniError("bad-file", "this checkpoint was written by another version of Penni", {
    file,
    expected: `checkpoint format ${ANY_VERSION.exec(MAGIC)?.[1]}`,
    found: `checkpoint format ${version}`,
    advice:
      "Resume with the version the run was started with, or delete the checkpoint to start its stage again",
  });
}

/**
 * @throws PenniError "bad-file" if the checkpoint in `file` belongs to other networks, or to other options,
 *   naming them
 */
export function checkIdentity(checkpoint: Checkpoint, expected: StageIdentity, file: string): void {
  const { networks, options } = checkpoint.identity;
  if (networks !== expected.networks) {
    throw new PenniError("bad-file", "this checkpoint belongs to another model", {
      file,
      advice: "Put back the checkpoint of this run, or delete this one to start its stage again",
    });
  }
  const names = new Set([...Object.keys(options), ...Object.keys(expected.options)]);
  const different = [...names].filter(
    (name) => withoutPlace(name, options[name]) !== withoutPlace(name, expected.options[name]),
  );
  if (different.length === 0) return;
  throw new PenniError("bad-file", "this checkpoint belongs to a run with other options", {
    file,
    expected: describeOptions(different, expected.options),
    found: describeOptions(different, options),
    advice: "Resume with the options the run was started with, or start a new run directory",
  });
}

/** Images may be at another place, as on another machine; what they are is said by the rest. */
function withoutPlace(name: string, option: string | undefined): string | undefined {
  return name === "data" ? option?.replace(PLACE, "$1") : option;
}

/** In JSON: the kind of a specification stays, and all of images that are computed. */
const PLACE = /("spec":"(?!synthetic)(?:[a-z\d]{2,}:)?)(?:[^"\\]|\\.)*/;

const LONGEST_VALUE = 60;

function describeOptions(names: readonly string[], options: StageIdentity["options"]): string {
  return names
    .map((name) => {
      const value = options[name] ?? "nothing";
      return value.length > LONGEST_VALUE ? `${name} of its own` : `${name} ${value}`;
    })
    .join(", ");
}
