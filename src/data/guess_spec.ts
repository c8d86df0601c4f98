import path from "node:path";
import { entryKind, listFolder } from "./files.js";
import { formatOfName } from "./image_formats.js";

/** A specification of a dataset for a folder whose user did not say what it holds, and how to say what was seen. */
export interface GuessedSpec {
  readonly spec: string;
  /** What the folder looks like, for people: "CIFAR-10's files". */
  readonly looksLike: string;
  /** Folders that may be classes; undefined where there are none. */
  readonly classes?: number;
}

/** Folders of a data set's parts, not of classes. */
const PARTS: ReadonlySet<string> = new Set(["train", "test", "val", "validation"]);

/**
 * What `openDataset` should be told of a folder, from the names in it and in its sub-folders.
 * @returns undefined if there is no such folder
 * @throws PenniError "bad-data" if it cannot be read
 */
export async function guessSpec(folder: string): Promise<GuessedSpec | undefined> {
  if ((await entryKind(folder)) !== "folder") return undefined;
  const { files, folders } = await listFolder(folder);
  const holds = (pattern: RegExp): boolean => files.some((name) => pattern.test(name));
  if (holds(/^data_batch_1\.bin(?:\.gz)?$/))
    return { spec: `cifar10:${folder}`, looksLike: "CIFAR-10's files" };
  if (holds(/^train\.bin(?:\.gz)?$/)) return { spec: `cifar100:${folder}`, looksLike: "CIFAR-100's files" };
  if (holds(/[-.]idx[34]-ubyte(?:\.gz)?$/))
    return { spec: `idx:${folder}`, looksLike: "files in MNIST's layout" };
  const parts = folders.filter((name) => PARTS.has(name.toLowerCase()));
  const root = parts.includes("train") ? path.join(folder, "train") : folder;
  const groups = root === folder ? folders : (await listFolder(root)).folders;
  const [first, second] = groups;
  if (first === undefined || second === undefined || !(await hasPictures(path.join(root, first)))) {
    return { spec: `images:${folder}`, looksLike: "pictures without classes" };
  }
  return {
    spec: `folder:${folder}`,
    looksLike: `pictures in ${groups.length} classes`,
    classes: groups.length,
  };
}

/** Whether a folder itself holds files with the names of pictures. */
async function hasPictures(folder: string): Promise<boolean> {
  const { files } = await listFolder(folder);
  return files.some((name) => formatOfName(name) !== undefined);
}
