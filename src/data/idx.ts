import path from "node:path";
import { dims4 } from "../graph/at.js";
import { allocateSplit, type Dataset, type LabelledSplit, once } from "./dataset.js";
import { entryKind, listFolder, readWhole } from "./files.js";
import { badData, someNames } from "./messages.js";
import { unzip } from "./unzip.js";

/** Guards against files that unpack without end: 1 GiB. */
const MOST_BYTES = 2 ** 30;
/** The type of elements that such a file states: unsigned bytes. */
const UINT8 = 8;

/** How the files of a split begin; what follows names only their layout. */
const prefixes = { train: "train", test: "t10k" } as const;

const EXPECTED = "train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, plain or .gz";

/**
 * A dataset in the layout of MNIST (LeCun, Cortes and Burges 1998): images of one channel, or of several as a fourth
 * dimension in the second place, uint8, and a file of labels beside each file of images.
 * Throws `PenniError` "bad-data" that names the path, here or when a split is read.
 */
export async function openIdx(name: string, folder: string): Promise<Dataset> {
  const kind = await entryKind(folder);
  if (kind !== "folder") {
    throw badData(folder, kind === undefined ? "no such folder" : "not a folder", { expected: EXPECTED });
  }
  const { files } = await listFolder(folder);
  const find = (prefix: string, what: string): string | undefined =>
    files.find((file) => file.startsWith(prefix) && pattern(what).test(file));
  const filesOf = (prefix: string): SplitFiles => {
    const fileOf = (what: string): string => {
      const file = find(prefix, what);
      if (file !== undefined) return path.join(folder, file);
      throw badData(folder, `no file of ${what} for "${prefix}"`, {
        expected: EXPECTED,
        found: someNames(files),
      });
    };
    return { images: fileOf("images"), labels: fileOf("labels") };
  };
  const train = once(async () => readSplit(filesOf(prefixes.train)));
  const { channels, height, width, labels } = await train();
  const classes = labels.reduce((most, label) => Math.max(most, label), 0) + 1;
  const classNames = Array.from({ length: classes }, (_, index) => `${index}`);
  const test = once(async () => {
    const testFiles = filesOf(prefixes.test);
    const read = await readSplit(testFiles);
    checkLikeTraining(read, { channels, height, width, classes }, testFiles);
    return read;
  });
  return { name, classNames, channels, height, width, train, test };
}

interface SplitFiles {
  readonly images: string;
  readonly labels: string;
}

type Kind = Pick<LabelledSplit, "channels" | "height" | "width"> & { readonly classes: number };

/** Nobody reads the test images before hours of training are over, so they are compared here. */
function checkLikeTraining(test: LabelledSplit, training: Kind, files: SplitFiles): void {
  const shape = ({ channels, height, width }: Omit<Kind, "classes">): string =>
    `[${channels}, ${height}, ${width}]`;
  if (shape(test) !== shape(training)) {
    throw badData(files.images, "the test images are not like the training images", {
      expected: shape(training),
      found: shape(test),
    });
  }
  const stranger = test.labels.find((label) => label >= training.classes);
  if (stranger === undefined) return;
  throw badData(files.labels, "a test image is of a class that no training image is of", {
    expected: `0 to ${training.classes - 1}`,
    found: `${stranger}`,
  });
}

/** "train-images-idx3-ubyte", "train-images.idx3-ubyte", gzipped or not. */
const pattern = (what: string): RegExp => new RegExp(`${what}[-.]idx[134]-ubyte(\\.gz)?$`);

/** An array of bytes: `dims` first to last, `data` row by row. */
interface IdxArray {
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

async function readIdx(file: string): Promise<IdxArray> {
  const bytes = file.endsWith(".gz")
    ? await unzip(file, MOST_BYTES, `a gzipped array of at most ${MOST_BYTES} bytes`)
    : await readWhole(file, MOST_BYTES);
  const wrong = (expected: string, found: string): Error =>
    badData(file, "not an array in MNIST's layout", { expected, found, advice: "Download it again." });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) throw wrong("4 bytes of header or more", `${bytes.length}`);
  if (view.getUint16(0) !== 0) throw wrong("two zero bytes at its beginning", "others");
  const type = view.getUint8(2);
  const rank = view.getUint8(3);
  if (type !== UINT8) throw wrong(`elements of type ${UINT8} (uint8)`, `${type}`);
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw wrong(`${start} bytes of header`, `${bytes.length}`);
  const dims = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = dims.reduce((product, dim) => product * dim, 1);
  const data = bytes.subarray(start);
  if (data.length !== size) throw wrong(`${size} bytes of data [${dims.join(", ")}]`, `${data.length}`);
  return { dims, data };
}

async function readSplit({ images: imageFile, labels: labelFile }: SplitFiles): Promise<LabelledSplit> {
  const [images, labels] = await Promise.all([readIdx(imageFile), readIdx(labelFile)]);
  const shape = imageShape(images, imageFile);
  if (labels.dims.length !== 1 || labels.data.length !== shape.count) {
    throw badData(labelFile, "the labels do not fit the images", {
      expected: `[${shape.count}]`,
      found: `[${labels.dims.join(", ")}]`,
    });
  }
  const split = allocateSplit(shape);
  split.labels.set(labels.data);
  split.pixels.set(images.data);
  return split;
}

type ImageShape = Parameters<typeof allocateSplit>[0];

function imageShape({ dims, data }: IdxArray, file: string): ImageShape {
  // Images of one channel have no axis for it.
  const shape = dims.length === 3 ? dims.toSpliced(1, 0, 1) : dims;
  if (shape.length === 4 && data.length > 0) {
    const [count, channels, height, width] = dims4(shape);
    return { count, channels, height, width };
  }
  throw badData(file, "no images", {
    expected: "[count, height, width] or [count, channels, height, width], none of them 0",
    found: `[${dims.join(", ")}]`,
  });
}
