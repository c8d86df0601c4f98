import { link, lstat, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { ioError, isTemporaryFile } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import { digestSchema } from "./names.js";
import {
  copyFile,
  damaged,
  errnoOf,
  isWhole,
  readPlain,
  removeFile,
  replaceFile,
  SMALL_FILE,
  sha256Of,
  temporaryName,
  writeNew,
} from "./plain_files.js";
import { RecordFiles } from "./record_files.js";
import type { RecordName, Store, StoredFile } from "./store.js";
import { StoreFolders } from "./store_folders.js";
import { makeMarked, markedId } from "./store_marker.js";

/** What is read into memory at once. */
const LARGEST_READ = 2 ** 31 - 1;

/**
 * A store in a directory that all machines see. Every file is written under another name, flushed and renamed, so that
 * readers of any machine see it whole or not at all; nothing below the directory may be a link.
 */
export class DirectoryStore implements Store {
  private readonly folders: StoreFolders;
  private readonly records: RecordFiles;

  private constructor(
    readonly root: string,
    readonly id: string,
    /** Whether what is written survives a power cut. */
    private readonly isDurable: boolean,
  ) {
    this.folders = new StoreFolders(root);
    this.records = new RecordFiles(this.folders, isDurable);
  }

  /** Opens a store, or makes one of a directory that is empty or not there yet. @throws PenniError "io" */
  static async create(directory: string, isDurable = true): Promise<DirectoryStore> {
    await makeMarked(directory, isDurable);
    return DirectoryStore.open(directory, isDurable);
  }

  /** Opens a store that is there. @throws PenniError "io", "bad-file" */
  static async open(directory: string, isDurable = true): Promise<DirectoryStore> {
    return new DirectoryStore(path.resolve(directory), await markedId(directory), isDurable);
  }

  async isThere(): Promise<boolean> {
    return this.folders.checkMounted().then(
      () => true,
      () => false,
    );
  }

  /** Finds out whether it can be written to. @throws PenniError "io" */
  async checkWritable(): Promise<void> {
    await this.doing("write to", async () => {
      const file = path.join(this.root, temporaryName());
      const second = path.join(this.root, temporaryName());
      try {
        await writeNew(file, "written to find out whether that can be done\n", false);
        await link(file, second).catch((error: unknown) => {
          throw withoutLinks(this.root, error);
        });
      } finally {
        await removeFile(second);
        await removeFile(file);
      }
    });
  }

  async put(content: Uint8Array | string, trial?: string): Promise<string> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const sha256 = sha256Of(bytes);
    return this.doing("write to", async () => {
      const file = await this.objectPlace(sha256, trial);
      if (!(await isWhole(file, sha256))) await replaceFile(file, bytes, this.isDurable);
      return sha256;
    });
  }

  async putFile(source: string, trial?: string): Promise<StoredFile> {
    return this.doing("write to", async () => {
      if ((await stat(source)).size <= SMALL_FILE) {
        const bytes = await readFile(source);
        return { sha256: await this.put(bytes, trial), bytes: bytes.byteLength };
      }
      const temporary = path.join(await this.folders.make(objectsOf(trial)), temporaryName());
      try {
        const stored = await copyFile(source, temporary, this.isDurable);
        const file = await this.objectPlace(stored.sha256, trial);
        if (await isWhole(file, stored.sha256)) await rm(temporary, { force: true });
        else await rename(temporary, file);
        return stored;
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => undefined);
        throw error;
      }
    });
  }

  async has(sha256: string, trial?: string): Promise<boolean> {
    const name = digestSchema.parse(sha256);
    for (const folders of placesOf(name, trial)) {
      const stats = await lstat(path.join(this.root, ...folders, name)).catch(() => undefined);
      if (stats?.isFile() === true) return true;
    }
    return false;
  }

  async read(sha256: string, trial?: string): Promise<Uint8Array> {
    return this.doing("read from", async () => {
      const { file, size } = await this.find(sha256, trial);
      if (size > LARGEST_READ) throw damaged(file, "too large");
      return this.checked(file, sha256);
    });
  }

  async fetch(sha256: string, target: string, trial?: string): Promise<void> {
    return this.doing("read from", async () => {
      const { file, size } = await this.find(sha256, trial);
      if (size <= SMALL_FILE) {
        const bytes = await this.checked(file, sha256);
        await writeFile(target, bytes, { flag: "wx" }).catch((error: unknown) => {
          throw ioError(target, "cannot write the file", error);
        });
        return;
      }
      const found = await copyFile(file, target, false);
      if (found.sha256 === sha256) return;
      await rm(target, { force: true });
      throw damaged(file, "other content");
    });
  }

  async record(trial: string, name: RecordName): Promise<Uint8Array | undefined> {
    return this.doing("read from", () => this.records.read(trial, name));
  }

  async setRecord(trial: string, name: RecordName, content: string): Promise<void> {
    await this.doing("write to", () => this.records.set(trial, name, content));
  }

  async setFirstRecord(trial: string, name: RecordName, content: string): Promise<boolean> {
    return this.doing("write to", () => this.records.setFirst(trial, name, content));
  }

  async removeRecord(trial: string, name: RecordName): Promise<void> {
    await this.doing("write to", () => this.records.remove(trial, name));
  }

  async prune(trial: string, kept: ReadonlySet<string>, graceMs: number): Promise<void> {
    await this.doing("write to", async () => {
      const folder = path.join(this.root, ...objectsOf(trial));
      if (!(await this.folders.areThere(objectsOf(trial)))) return;
      // Those of workers that were killed while they wrote, too.
      const names = (await readdir(folder)).filter(
        (name) => digestSchema.safeParse(name).success || isTemporaryFile(name),
      );
      if (names.every((name) => kept.has(name))) return;
      const ages = new Map<string, number>();
      for (const name of names) {
        const stats = await lstat(path.join(folder, name)).catch(() => undefined);
        if (stats !== undefined) ages.set(name, stats.mtimeMs);
      }
      // By the clock of the file system, not of this machine.
      const now = Math.max(0, ...ages.values());
      for (const [name, written] of ages)
        if (!kept.has(name) && now - written >= graceMs) await rm(path.join(folder, name), { force: true });
    });
  }

  /** Where an object goes, its folder made. */
  private async objectPlace(sha256: string, trial: string | undefined): Promise<string> {
    const name = digestSchema.parse(sha256);
    const folders = trial === undefined ? [...objectsOf(trial), name.slice(0, 2)] : objectsOf(trial);
    return path.join(await this.folders.make(folders), name);
  }

  /** The file of an object that is there. */
  private async find(
    sha256: string,
    trial: string | undefined,
  ): Promise<{ readonly file: string; readonly size: number }> {
    const name = digestSchema.parse(sha256);
    for (const folders of placesOf(name, trial)) {
      await this.folders.areThere(folders);
      const file = path.join(this.root, ...folders, name);
      const stats = await lstat(file).catch(() => undefined);
      if (stats?.isFile() === true) return { file, size: stats.size };
      if (stats !== undefined) throw damaged(file, "a link or folder");
    }
    throw await this.missing(sha256);
  }

  private async missing(sha256: string): Promise<PenniError> {
    await this.folders.checkMounted();
    return new PenniError("bad-file", "an object is not in the store", { file: this.root, expected: sha256 });
  }

  private async checked(file: string, sha256: string): Promise<Uint8Array> {
    const bytes = await readPlain(file);
    if (bytes === undefined) throw await this.missing(sha256);
    if (sha256Of(bytes) !== sha256) throw damaged(file, "other content");
    return bytes;
  }

  /** Names the store in errors of the system. */
  private async doing<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof PenniError) throw error;
      throw ioError(this.root, `cannot ${what} the store`, error);
    }
  }
}

/** Of several results of a trial one is the first by the name that it makes; file systems of cameras and sticks cannot. */
function withoutLinks(directory: string, error: unknown): PenniError {
  return new PenniError("io", "the store's file system has no second names for files (hard links)", {
    file: directory,
    found: String(errnoOf(error)),
    advice: "Choose a directory on another one, as NFS, ext4, XFS or a cluster's",
  });
}

function objectsOf(trial: string | undefined): readonly string[] {
  return trial === undefined ? ["objects"] : ["trials", digestSchema.parse(trial), "objects"];
}

/** Where an object may be. */
function placesOf(name: string, trial: string | undefined): readonly (readonly string[])[] {
  const shared = ["objects", name.slice(0, 2)];
  return trial === undefined ? [shared] : [objectsOf(trial), shared];
}
