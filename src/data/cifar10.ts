import path from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { allocateSplit, type Dataset, imagePixels, type LabelledSplit, once } from "./dataset.js";
import { badData, entryKind, listFolder, readWhole, someNames } from "./files.js";
import { type ArchiveLimits, readFromArchive } from "./tar.js";

const IMAGE_BYTES = 3 * 32 * 32;
const RECORD_BYTES = 1 + IMAGE_BYTES;
/** An official batch has 10,000 records, all of them together 60,000; guards against files that unpack without end. */
const MAX_BATCH_BYTES = 60_000 * RECORD_BYTES;
const ARCHIVE_LIMITS: ArchiveLimits = { entryBytes: MAX_BATCH_BYTES, archiveBytes: 2 * MAX_BATCH_BYTES };

const TRAIN_BATCHES = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`);
const TEST_BATCHES = ["test_batch.bin"];
const CLASS_FILE = "batches.meta.txt";
const ARCHIVE = "cifar-10-binary.tar.gz";
const INNER_FOLDER = "cifar-10-batches-bin";
const SOURCE_ADVICE = `Give the folder of the binary version of CIFAR-10, or ${ARCHIVE} itself.`;

const officialClassNames = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

/** Files of the dataset, wherever they are kept. */
interface BatchFiles {
  /** What messages call the file. */
  place(name: string): string;
  /** Contents, unpacked, by name; files that do not exist are missing. */
  read(names: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>;
}

/**
 * CIFAR-10 (Krizhevsky, 2009) in its official binary layout: records of 1 label byte and 3072 bytes of
 * planar RGB, 32x32. `location` is a folder with the batches (plain or gzipped), a folder with
 * `cifar-10-batches-bin/` or the official archive in it, or the archive.
 * Throws `PenniError` "bad-data" that names the path, here or when a split is read.
 */
export async function openCifar10(name: string, location: string): Promise<Dataset> {
  const files = await locate(location);
  const meta = (await files.read([CLASS_FILE])).get(CLASS_FILE);
  const classNames = meta === undefined ? officialClassNames : parseClassNames(files, meta);
  return {
    name,
    classNames,
    channels: 3,
    height: 32,
    width: 32,
    train: once(() => readSplit(files, TRAIN_BATCHES)),
    test: once(() => readSplit(files, TEST_BATCHES)),
  };
}

async function locate(location: string): Promise<BatchFiles> {
  const kind = await entryKind(location);
  if (kind === undefined) throw badData(location, "no such file or folder", { advice: SOURCE_ADVICE });
  if (kind === "file") return filesInArchive(location);
  const { folders, files } = await listFolder(location);
  const isBatch = (file: string) => [...TRAIN_BATCHES, ...TEST_BATCHES].includes(file.replace(/\.gz$/, ""));
  if (files.some(isBatch)) return filesInFolder(location);
  if (folders.includes(INNER_FOLDER)) return filesInFolder(path.join(location, INNER_FOLDER));
  if (files.includes(ARCHIVE)) return filesInArchive(path.join(location, ARCHIVE));
  throw badData(location, "not a CIFAR-10 folder", {
    expected: `data_batch_1.bin to data_batch_5.bin and test_batch.bin (plain or .gz), ${INNER_FOLDER}/ or ${ARCHIVE}`,
    found: someNames([...folders, ...files]),
    advice: SOURCE_ADVICE,
  });
}

function filesInArchive(archive: string): BatchFiles {
  return {
    place: (name) => `${archive} (${name})`,
    read: (names) => readFromArchive(archive, names, ARCHIVE_LIMITS),
  };
}

function filesInFolder(folder: string): BatchFiles {
  const read = async (name: string): Promise<[string, Uint8Array] | undefined> => {
    const plain = path.join(folder, name);
    if ((await entryKind(plain)) === "file") return [name, await readWhole(plain, MAX_BATCH_BYTES)];
    if ((await entryKind(`${plain}.gz`)) === "file") return [name, await unzip(`${plain}.gz`)];
    return undefined;
  };
  return {
    place: (name) => path.join(folder, name),
    read: async (names) => {
      const contents = await Promise.all(names.map(read));
      return new Map(contents.filter((entry) => entry !== undefined));
    },
  };
}

const gunzipAsync = promisify(gunzip);
/** Much more than zlib's 16 kB, which costs four times the time. */
const UNPACKED_CHUNK_BYTES = 2 ** 20;

async function unzip(file: string): Promise<Uint8Array> {
  const packed = await readWhole(file, MAX_BATCH_BYTES);
  return gunzipAsync(packed, { maxOutputLength: MAX_BATCH_BYTES, chunkSize: UNPACKED_CHUNK_BYTES }).catch(
    (cause: unknown) => {
      throw badData(
        file,
        "cannot unpack the file",
        {
          expected: `gzipped records, at most ${MAX_BATCH_BYTES} bytes`,
          found: cause instanceof Error ? cause.message : String(cause),
          advice: "Download it again.",
        },
        cause,
      );
    },
  );
}

function parseClassNames(files: BatchFiles, meta: Uint8Array): readonly string[] {
  const names = new TextDecoder()
    .decode(meta)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (names.length === officialClassNames.length) return names;
  throw badData(files.place(CLASS_FILE), "wrong number of class names", {
    expected: `${officialClassNames.length} lines`,
    found: `${names.length}`,
    advice: "Correct the file or remove it.",
  });
}

async function readSplit(files: BatchFiles, names: readonly string[]): Promise<LabelledSplit> {
  const contents = await files.read(names);
  const batches = names.map((name) => ({ name, bytes: checkedBatch(files, name, contents.get(name)) }));
  const count = batches.reduce((total, { bytes }) => total + bytes.length / RECORD_BYTES, 0);
  const split = allocateSplit({ count, channels: 3, height: 32, width: 32 });
  let index = 0;
  for (const { name, bytes } of batches) {
    for (let start = 0; start < bytes.length; start += RECORD_BYTES) {
      const label = bytes[start] ?? 0;
      if (label >= officialClassNames.length) {
        throw badData(files.place(name), `record ${start / RECORD_BYTES} has a wrong label`, {
          expected: "0 to 9",
          found: `${label}`,
          advice: "This is not the binary version of CIFAR-10 (CIFAR-100 is not supported).",
        });
      }
      split.labels[index] = label;
      imagePixels(split, index).set(bytes.subarray(start + 1, start + RECORD_BYTES));
      index += 1;
    }
  }
  return split;
}

function checkedBatch(files: BatchFiles, name: string, bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) {
    throw badData(files.place(name), "a batch of CIFAR-10 is missing", {
      expected: `${name} or ${name}.gz`,
      found: "neither",
      advice: SOURCE_ADVICE,
    });
  }
  if (bytes.length > 0 && bytes.length % RECORD_BYTES === 0) return bytes;
  throw badData(files.place(name), "wrong length", {
    expected: `a multiple of ${RECORD_BYTES} bytes (1 label and ${IMAGE_BYTES} pixels each)`,
    found: `${bytes.length} bytes`,
    advice: "The file is damaged or has another layout: download it again.",
  });
}
