import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { PenniError } from "../graph/errors.js";
import { elementCount } from "../graph/tensor.js";
import { ioError, writeFileAtomic } from "../onnx/atomic.js";
import { type EpochMetrics, epochMetricsSchema } from "./plan.js";

/** Everything a training stage needs to go on as if it had never stopped. */
export interface Checkpoint {
  /** Digest of the plan and the network it belongs to. */
  readonly fingerprint: string;
  /** Steps done. */
  readonly step: number;
  /** Sums over the current epoch so far. */
  readonly lossSum: number;
  readonly hits: number;
  readonly images: number;
  /** Metrics of the epochs that are done. */
  readonly history: readonly EpochMetrics[];
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

export interface CheckpointTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

const MAGIC = "PENNI-CHECKPOINT-1\n";
const DIGEST_BYTES = 32;

const headerSchema = z.object({
  fingerprint: z.string(),
  step: z.number().int().min(0),
  lossSum: z.number(),
  hits: z.number(),
  images: z.number(),
  history: z.array(epochMetricsSchema),
  tensors: z.array(z.object({ name: z.string(), dims: z.array(z.number().int().min(0)) })),
});

/** Layout: magic, length of the header (uint32), header (JSON), float32 data in order, SHA-256 of it all. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { tensors, ...rest } = checkpoint;
  const header = Buffer.from(
    JSON.stringify({ ...rest, tensors: [...tensors].map(([name, { dims }]) => ({ name, dims })) }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.byteLength);
  const data = [...tensors.values()].map(({ data }) =>
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  );
  const body = Buffer.concat([Buffer.from(MAGIC), length, header, ...data]);
  return Buffer.concat([body, createHash("sha256").update(body).digest()]);
}

/** @throws PenniError "bad-file" if the bytes are not a whole, unchanged checkpoint */
export function decodeCheckpoint(bytes: Uint8Array, file: string): Checkpoint {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const body = buffer.subarray(0, Math.max(0, buffer.byteLength - DIGEST_BYTES));
  const digest = createHash("sha256").update(body).digest();
  const isWhole = digest.equals(buffer.subarray(body.byteLength));
  if (!isWhole || !body.subarray(0, MAGIC.length).equals(Buffer.from(MAGIC))) throw damaged(file);
  const headerStart = MAGIC.length + 4;
  const headerEnd = headerStart + body.readUInt32LE(MAGIC.length);
  const { data: header } = headerSchema.safeParse(parseJson(body.subarray(headerStart, headerEnd)));
  if (header === undefined) throw damaged(file);
  const tensors = new Map<string, CheckpointTensor>();
  let offset = headerEnd;
  for (const { name, dims } of header.tensors) {
    const size = elementCount(dims) * 4;
    // A copy, because the data need not be aligned within the file.
    const data = new Float32Array(Uint8Array.from(body.subarray(offset, offset + size)).buffer);
    tensors.set(name, { dims, data });
    offset += size;
  }
  return { ...header, tensors };
}

function damaged(file: string): PenniError {
  return new PenniError("bad-file", "this is not a whole checkpoint of this version of Penni", {
    file,
    advice: "Delete it to start the stage again",
  });
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

export async function writeCheckpoint(file: string, checkpoint: Checkpoint): Promise<void> {
  await writeFileAtomic(file, encodeCheckpoint(checkpoint));
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw ioError(file, "cannot read the checkpoint", error);
  }
}

/**
 * The checkpoint in `file`, or undefined if there is none.
 * @throws PenniError "bad-file" if it is damaged or belongs to another plan or network
 */
export async function readCheckpoint(file: string, fingerprint: string): Promise<Checkpoint | undefined> {
  if (!existsSync(file)) return undefined;
  const checkpoint = decodeCheckpoint(await readBytes(file), file);
  if (checkpoint.fingerprint === fingerprint) return checkpoint;
  throw new PenniError("bad-file", "this checkpoint belongs to another network or to other options", {
    file,
    advice: "Resume with the options the run was started with, or start a new run directory",
  });
}
