import path from "node:path";
import { at } from "../graph/at.js";
import { cifar100Names } from "./cifar100_names.js";
import { indexOfNames } from "./classes.js";
import { allocateSplit, type Dataset, imagePixels, type LabelledSplit, once } from "./dataset.js";
import { entryKind, listFolder, readWhole } from "./files.js";
import { badData, someNames } from "./messages.js";
import { type ArchiveLimits, readFromArchive } from "./tar.js";
import { unzip } from "./unzip.js";

const IMAGE_BYTES = 3 * 32 * 32;
/** Images of a whole set. */
const MOST_RECORDS = 60_000;

/** One of the two sets in their official binary layout. */
interface Variant {
  /** What messages call it. */
  readonly title: string;
  /** Bytes before the pixels of a record, the last of which is the class. */
  readonly labelBytes: number;
  readonly train: readonly string[];
  readonly test: readonly string[];
  readonly classFile: string;
  /** Where the file of names is missing. */
  readonly classNames: readonly string[];
  readonly archive: string;
  readonly innerFolder: string;
}

/** Specifications of datasets that are read here. */
export type CifarName = "cifar10" | "cifar100";

const variants: Readonly<Record<CifarName, Variant>> = {
  cifar10: {
    title: "CIFAR-10",
    labelBytes: 1,
    train: [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`),
    test: ["test_batch.bin"],
    classFile: "batches.meta.txt",
    classNames: "airplane automobile bird cat deer dog frog horse ship truck".split(" "),
    archive: "cifar-10-binary.tar.gz",
    innerFolder: "cifar-10-batches-bin",
  },
  cifar100: {
    title: "CIFAR-100",
    // The superclass, then the class.
    labelBytes: 2,
    train: ["train.bin"],
    test: ["test.bin"],
    classFile: "fine_label_names.txt",
    classNames: cifar100Names,
    archive: "cifar-100-binary.tar.gz",
    innerFolder: "cifar-100-binary",
  },
};

const recordBytes = ({ labelBytes }: Variant): number => labelBytes + IMAGE_BYTES;
/** Guards against files that unpack without end. */
const mostBytes = (variant: Variant): number => MOST_RECORDS * recordBytes(variant);
/** An archive holds the training and the test images. */
const archiveLimits = (variant: Variant): ArchiveLimits => ({
  entryBytes: mostBytes(variant),
  archiveBytes: 2 * mostBytes(variant),
});
const sourceAdvice = ({ title, archive }: Variant): string =>
  `Give the folder of the binary version of ${title}, or ${archive} itself.`;

/** Files of the dataset, wherever they are kept. */
interface BatchFiles {
  /** What messages call the file. */
  place(name: string): string;
  /** Contents, unpacked, by name; files that do not exist are missing. */
  read(names: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>;
}

/**
 * CIFAR-10 or CIFAR-100 (Krizhevsky, 2009) in the official binary layout: records of 1 or 2 label bytes and 3072 bytes
 * of planar RGB, 32x32. `location` is a folder with the batches (plain or gzipped), a folder with the official folder or
 * archive in it, or the archive.
 * Throws `PenniError` "bad-data" that names the path, here or when a split is read.
 */
export async function openCifar(set: CifarName, name: string, location: string): Promise<Dataset> {
  const variant = variants[set];
  const files = await locate(variant, location);
  const { classFile } = variant;
  const meta = (await files.read([classFile])).get(classFile);
  return {
    name,
    classNames: meta === undefined ? variant.classNames : parseClassNames(variant, files, meta),
    channels: 3,
    height: 32,
    width: 32,
    train: once(() => readSplit(variant, files, variant.train)),
    test: once(() => readSplit(variant, files, variant.test)),
  };
}

async function locate(variant: Variant, location: string): Promise<BatchFiles> {
  const { title, train, test, archive, innerFolder } = variant;
  const advice = sourceAdvice(variant);
  const kind = await entryKind(location);
  if (kind === undefined) throw badData(location, "no such file or folder", { advice });
  if (kind === "file") return filesInArchive(variant, location);
  const { folders, files } = await listFolder(location);
  const isBatch = (file: string) => [...train, ...test].includes(file.replace(/\.gz$/, ""));
  if (files.some(isBatch)) return filesInFolder(variant, location);
  if (folders.includes(innerFolder)) return filesInFolder(variant, path.join(location, innerFolder));
  if (files.includes(archive)) return filesInArchive(variant, path.join(location, archive));
  const [first, last] = [train[0], train.at(-1)];
  throw badData(location, `not a ${title} folder`, {
    expected: `${first === last ? first : `${first} to ${last}`} and ${test[0]} (plain or .gz), ${innerFolder}/ or ${archive}`,
    found: someNames([...folders, ...files]),
    advice,
  });
}

function filesInArchive(variant: Variant, archive: string): BatchFiles {
  return {
    place: (name) => `${archive} (${name})`,
    read: (names) => readFromArchive(archive, names, archiveLimits(variant)),
  };
}

function filesInFolder(variant: Variant, folder: string): BatchFiles {
  const bytes = mostBytes(variant);
  const expected = `gzipped records, at most ${bytes} bytes`;
  const read = async (name: string): Promise<[string, Uint8Array] | undefined> => {
    const plain = path.join(folder, name);
    if ((await entryKind(plain)) === "file") return [name, await readWhole(plain, bytes)];
    if ((await entryKind(`${plain}.gz`)) === "file")
      return [name, await unzip(`${plain}.gz`, bytes, expected)];
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

function parseClassNames(
  { classFile, classNames }: Variant,
  files: BatchFiles,
  meta: Uint8Array,
): readonly string[] {
  const names = new TextDecoder()
    .decode(meta)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (names.length === classNames.length) {
    indexOfNames(names, files.place(classFile));
    return names;
  }
  throw badData(files.place(classFile), "wrong number of class names", {
    expected: `${classNames.length} lines`,
    found: `${names.length}`,
    advice: "Correct the file or remove it.",
  });
}

async function readSplit(
  variant: Variant,
  files: BatchFiles,
  names: readonly string[],
): Promise<LabelledSplit> {
  const size = recordBytes(variant);
  const contents = await files.read(names);
  const batches = names.map((name) => ({
    name,
    bytes: checkedBatch(variant, files, name, contents.get(name)),
  }));
  const count = batches.reduce((total, { bytes }) => total + bytes.length / size, 0);
  const split = allocateSplit({ count, channels: 3, height: 32, width: 32 });
  let index = 0;
  for (const { name, bytes } of batches) {
    for (let start = 0; start < bytes.length; start += size) {
      const pixels = start + variant.labelBytes;
      const label = at(bytes, pixels - 1);
      checkLabel(variant, label, files.place(name), start / size);
      split.labels[index] = label;
      imagePixels(split, index).set(bytes.subarray(pixels, start + size));
      index += 1;
    }
  }
  return split;
}

function checkLabel({ title, classNames }: Variant, label: number, file: string, record: number): void {
  if (label < classNames.length) return;
  throw badData(file, `record ${record} has a wrong label`, {
    expected: `0 to ${classNames.length - 1}`,
    found: `${label}`,
    advice: `This is not the binary version of ${title}.`,
  });
}

function checkedBatch(
  variant: Variant,
  files: BatchFiles,
  name: string,
  bytes: Uint8Array | undefined,
): Uint8Array {
  const { title, labelBytes } = variant;
  if (bytes === undefined) {
    throw badData(files.place(name), `a batch of ${title} is missing`, {
      expected: `${name} or ${name}.gz`,
      found: "neither",
      advice: sourceAdvice(variant),
    });
  }
  const size = recordBytes(variant);
  if (bytes.length > 0 && bytes.length % size === 0) return bytes;
  throw badData(files.place(name), "wrong length", {
    expected: `a multiple of ${size} bytes (${labelBytes} for the label and ${IMAGE_BYTES} for the pixels each)`,
    found: `${bytes.length} bytes`,
    advice: "The file is damaged or has another layout: download it again.",
  });
}
