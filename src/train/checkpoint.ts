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
const LENGTH_BYTES = 4;
const FLOAT_BYTES = 4;
/** Read at once where only the digest of the bytes is wanted. */
const CHUNK_BYTES = 2 ** 20;

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
 * @returns the bytes in parts, one after the other; those of the tensors are no copies
 */
export function checkpointParts(checkpoint: Checkpoint): readonly Uint8Array[] {
  const { tensors, network, ...rest } = checkpoint;
  const listed = [...tensors].map(([name, { dims }]) => ({ name, dims }));
  const header = Buffer.from(JSON.stringify({ ...rest, tensors: listed, network: network?.byteLength }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(header.byteLength);
  const data = [...tensors.values()].map(({ data }) => bytesOf(data));
  const body = [Buffer.from(MAGIC), length, header, ...data, ...(network === undefined ? [] : [network])];
  const hash = createHash("sha256");
  for (const part of body) hash.update(part);
  return [...body, hash.digest()];
}

/** A checkpoint's bytes, wherever they are. */
export interface CheckpointBytes {
  readonly size: number;
  /** Fills `into` with the bytes from `offset`. */
  read(into: Uint8Array, offset: number): Promise<void>;
}

/** A checkpoint whose tensors are where they were written. */
export interface StoredCheckpoint extends Omit<Checkpoint, "tensors"> {
  /** Reads them one after the other. */
  tensors(): AsyncIterable<readonly [string, CheckpointTensor]>;
}

/**
 * Reads all but the tensors. Nothing is believed before the digest of all bytes is seen to be right.
 * @returns "damaged" if the bytes are not a whole, unchanged checkpoint
 * @throws PenniError "bad-file" naming the file if they are one of another version of Penni
 */
export async function openCheckpoint(
  bytes: CheckpointBytes,
  file: string,
): Promise<StoredCheckpoint | "damaged"> {
  const bodySize = bytes.size - DIGEST_BYTES;
  if (bodySize < 0) return "damaged";
  const digest = await digestOf(bytes, bodySize);
  if (!digest.equals(await piece(bytes, bodySize, DIGEST_BYTES))) return "damaged";
  const start = await piece(bytes, 0, Math.min(bodySize, 2 * MAGIC.length));
  const found = ANY_VERSION.exec(start.toString("latin1"));
  if (found === null) return "damaged";
  const [magic, version] = firstOf(found, 2);
  if (magic !== MAGIC) throw otherVersion(file, version);
  const headerStart = MAGIC.length + LENGTH_BYTES;
  if (bodySize < headerStart) return "damaged";
  const headerSize = (await piece(bytes, MAGIC.length, LENGTH_BYTES)).readUInt32LE();
  const dataStart = headerStart + headerSize;
  if (dataStart > bodySize) return "damaged";
  const { data: header } = headerSchema.safeParse(
    parseJson(new TextDecoder().decode(await piece(bytes, headerStart, headerSize))),
  );
  if (header === undefined) return "damaged";
  const { trend, network: networkSize = 0, tensors, ...rest } = header;
  const dataSize = tensors.reduce((sum, { dims }) => sum + FLOAT_BYTES * elementCount(dims), 0);
  if (dataStart + dataSize + networkSize !== bodySize) return "damaged";
  return {
    ...rest,
    ...(trend === undefined ? {} : { trend }),
    tensors: () => readTensors(bytes, tensors, dataStart),
    ...(networkSize === 0 ? {} : { network: await filled(bytes, dataStart + dataSize, networkSize) }),
  };
}

async function* readTensors(
  bytes: CheckpointBytes,
  listed: readonly { readonly name: string; readonly dims: readonly number[] }[],
  start: number,
): AsyncGenerator<readonly [string, CheckpointTensor]> {
  let offset = start;
  for (const { name, dims } of listed) {
    const data = new Float32Array(elementCount(dims));
    await bytes.read(bytesOf(data), offset);
    yield [name, { dims, data }];
    offset += data.byteLength;
  }
}

async function digestOf(bytes: CheckpointBytes, size: number): Promise<Buffer> {
  const hash = createHash("sha256");
  const chunk = Buffer.alloc(Math.min(size, CHUNK_BYTES));
  for (let offset = 0; offset < size; offset += chunk.byteLength) {
    const part = chunk.subarray(0, Math.min(chunk.byteLength, size - offset));
    await bytes.read(part, offset);
    hash.update(part);
  }
  return hash.digest();
}

async function piece(bytes: CheckpointBytes, offset: number, length: number): Promise<Buffer> {
  return Buffer.from((await filled(bytes, offset, length)).buffer);
}

async function filled(
  bytes: CheckpointBytes,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const found = new Uint8Array(length);
  await bytes.read(found, offset);
  return found;
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
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
export function checkIdentity(
  checkpoint: Pick<Checkpoint, "identity">,
  expected: StageIdentity,
  file: string,
): void {
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
