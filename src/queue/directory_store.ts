import { createHash, randomBytes } from "node:crypto";
import { constants, createReadStream, createWriteStream, existsSync } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { ioError } from "../files/atomic.js";
import { checkDirectoryPath } from "../files/directories.js";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { digestSchema } from "./names.js";
import { type PointerName, pointerNames, type Store, type StoredFile } from "./store.js";

const MARKER = "penni-store.json";
const markerSchema = z.strictObject({ format: z.literal(1) });

/** What is read into memory at once. */
const LARGEST_READ = 2 ** 31 - 1;
/** Windows has no such flag, and no links that anybody may make. */
const PLAIN = constants.O_RDONLY | orDefault<number>(constants.O_NOFOLLOW, 0);
const SEEN_MS = 1000;
const MOST_SEEN = 10_000;
const POINTER = /^([0-9a-f]{64})\n$/;

/**
 * A store in a directory that all machines see. Every file is written under another name, flushed and renamed, so that
 * readers of any machine see it whole or not at all; nothing below the directory may be a link.
 */
export class DirectoryStore implements Store {
  /** Folders that were looked at, and when: what they are is not asked again for every file. */
  private readonly seen = new Map<string, number>();

  private constructor(
    readonly root: string,
    /** Whether what is written survives a power cut. */
    private readonly isDurable: boolean,
  ) {}

  /** Opens a store, or makes one of a directory that is empty or not there yet. @throws PenniError "io" */
  static async create(directory: string, isDurable = true): Promise<DirectoryStore> {
    const root = path.resolve(directory);
    const store = new DirectoryStore(root, isDurable);
    const marker = path.join(root, MARKER);
    if (existsSync(marker)) return DirectoryStore.open(root, isDurable);
    checkDirectoryPath(directory);
    try {
      await mkdir(root, { recursive: true });
      const entries = await readdir(root);
      if (entries.length > 0 && !entries.includes(MARKER)) throw notEmpty(directory);
      if (entries.length === 0) await store.replace(marker, `${JSON.stringify({ format: 1 })}\n`);
    } catch (error) {
      throw ioError(directory, "cannot make a store in the directory", error);
    }
    return store;
  }

  /** Opens a store that is there: an empty directory may be a file system that is not mounted. @throws PenniError */
  static async open(directory: string, isDurable = true): Promise<DirectoryStore> {
    const root = path.resolve(directory);
    let text: string;
    try {
      text = await readFile(path.join(root, MARKER), "utf8");
    } catch (error) {
      const advice = "Check that the file system is mounted; the sweep makes the store when it starts";
      const found = error instanceof Error && "code" in error ? String(error.code) : "nothing";
      throw new PenniError("io", "there is no store of Penni in this directory", {
        file: directory,
        expected: `the file ${MARKER}`,
        found,
        advice,
      });
    }
    if (!isMarker(text))
      throw new PenniError("bad-file", "this store is from another version of Penni", { file: directory });
    return new DirectoryStore(root, isDurable);
  }

  async isThere(): Promise<boolean> {
    return this.checkMounted().then(
      () => true,
      () => false,
    );
  }

  async put(content: Uint8Array | string, trial?: string): Promise<string> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return this.doing("write to", async () => {
      const file = await this.objectPlace(sha256, trial);
      if (!(await isWhole(file, sha256))) await this.replace(file, bytes);
      return sha256;
    });
  }

  async putFile(source: string, trial?: string): Promise<StoredFile> {
    return this.doing("write to", async () => {
      const temporary = path.join(await this.folder(...objectsOf(trial)), temporaryName());
      try {
        const stored = await copy(source, temporary, this.isDurable);
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

  async has(sha256: string): Promise<boolean> {
    const name = digestSchema.parse(sha256);
    const stats = await lstat(path.join(this.root, "objects", name.slice(0, 2), name)).catch(() => undefined);
    return stats?.isFile() === true;
  }

  async read(sha256: string, trial?: string): Promise<Uint8Array> {
    return this.doing("read from", async () => {
      const file = await this.find(sha256, trial);
      const { size } = await lstat(file);
      if (size > LARGEST_READ) throw damaged(file, "too large");
      const bytes = await readFile(file);
      if (createHash("sha256").update(bytes).digest("hex") !== sha256) throw damaged(file, "other content");
      return bytes;
    });
  }

  async fetch(sha256: string, target: string, trial?: string): Promise<void> {
    return this.doing("read from", async () => {
      const file = await this.find(sha256, trial);
      const found = await copy(file, target, false);
      if (found.sha256 === sha256) return;
      await rm(target, { force: true });
      throw damaged(file, "other content");
    });
  }

  async pointed(trial: string, name: PointerName): Promise<string | undefined> {
    return this.doing("read from", async () => {
      const file = this.pointerFile(trial, name);
      await this.checkFolders(["trials", trial]);
      const text = await readPlain(file);
      if (text === undefined) return undefined;
      const sha256 = POINTER.exec(text)?.[1];
      if (sha256 === undefined) throw damaged(file, "no digest");
      return sha256;
    });
  }

  async point(trial: string, name: PointerName, sha256: string): Promise<void> {
    await this.doing("write to", async () => {
      await this.folder("trials", digestSchema.parse(trial));
      await this.replace(this.pointerFile(trial, name), `${digestSchema.parse(sha256)}\n`);
    });
  }

  async pointFirst(trial: string, name: PointerName, sha256: string): Promise<string> {
    return this.doing("write to", async () => {
      const folder = await this.folder("trials", digestSchema.parse(trial));
      const temporary = path.join(folder, temporaryName());
      try {
        await this.write(temporary, `${digestSchema.parse(sha256)}\n`);
        // Of all that try, on any machine, one makes the name.
        await link(temporary, this.pointerFile(trial, name));
        return sha256;
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
        return (await this.pointed(trial, name)) ?? sha256;
      } finally {
        await rm(temporary, { force: true });
      }
    });
  }

  async unpoint(trial: string, name: PointerName): Promise<void> {
    await this.doing("write to", () => rm(this.pointerFile(trial, name), { force: true }));
  }

  async prune(trial: string, kept: ReadonlySet<string>, graceMs: number): Promise<void> {
    await this.doing("write to", async () => {
      const folder = await this.folder(...objectsOf(trial));
      const ages = new Map<string, number>();
      for (const name of await readdir(folder)) {
        const stats = await lstat(path.join(folder, name)).catch(() => undefined);
        if (stats !== undefined && digestSchema.safeParse(name).success) ages.set(name, stats.mtimeMs);
      }
      // By the clock of the file system, not of this machine.
      const now = Math.max(0, ...ages.values());
      for (const [name, written] of ages)
        if (!kept.has(name) && now - written >= graceMs) await rm(path.join(folder, name), { force: true });
    });
  }

  private pointerFile(trial: string, name: PointerName): string {
    if (!pointerNames.includes(name)) throw new PenniError("internal", "no such pointer");
    return path.join(this.root, "trials", digestSchema.parse(trial), name);
  }

  /** Where an object goes, its folder made. */
  private async objectPlace(sha256: string, trial: string | undefined): Promise<string> {
    const name = digestSchema.parse(sha256);
    const folders = trial === undefined ? [...objectsOf(trial), name.slice(0, 2)] : objectsOf(trial);
    return path.join(await this.folder(...folders), name);
  }

  /** The file of an object that is there. */
  private async find(sha256: string, trial: string | undefined): Promise<string> {
    const name = digestSchema.parse(sha256);
    const shared = ["objects", name.slice(0, 2)];
    const places = trial === undefined ? [shared] : [objectsOf(trial), shared];
    for (const folders of places) {
      await this.checkFolders(folders);
      const file = path.join(this.root, ...folders, name);
      const stats = await lstat(file).catch(() => undefined);
      if (stats?.isFile() === true) return file;
      if (stats !== undefined) throw damaged(file, "a link or folder");
    }
    await this.checkMounted();
    throw new PenniError("bad-file", "an object is not in the store", { file: this.root, expected: sha256 });
  }

  /** A folder of the store, made where it is missing. */
  private async folder(...names: readonly string[]): Promise<string> {
    const folder = path.join(this.root, ...names);
    if (this.wasSeen(folder)) return folder;
    await this.checkMounted();
    await this.checkFolders(names);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  private wasSeen(folder: string): boolean {
    const at = this.seen.get(folder);
    return at !== undefined && Date.now() - at < SEEN_MS;
  }

  /** What is written into an empty mount point is lost. */
  private async checkMounted(): Promise<void> {
    await lstat(path.join(this.root, MARKER));
  }

  /** @throws PenniError "bad-file" if one of the folders on the way is a link, or no folder */
  private async checkFolders(names: readonly string[]): Promise<void> {
    let folder = this.root;
    for (const name of names) {
      folder = path.join(folder, name);
      if (this.wasSeen(folder)) continue;
      const stats = await lstat(folder).catch(() => undefined);
      if (stats === undefined) return;
      if (!stats.isDirectory()) throw damaged(folder, "a link or file");
      if (this.seen.size > MOST_SEEN) this.seen.clear();
      this.seen.set(folder, Date.now());
    }
  }

  private async replace(file: string, content: Uint8Array | string): Promise<void> {
    const temporary = path.join(path.dirname(file), temporaryName());
    try {
      await this.write(temporary, content);
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  private async write(file: string, content: Uint8Array | string): Promise<void> {
    const handle: FileHandle = await open(file, "wx");
    try {
      await handle.writeFile(content);
      if (this.isDurable) await handle.sync();
    } finally {
      await handle.close();
    }
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

function objectsOf(trial: string | undefined): readonly string[] {
  return trial === undefined ? ["objects"] : ["trials", digestSchema.parse(trial), "objects"];
}

const temporaryName = (): string => `.penni-${process.pid}-${randomBytes(6).toString("hex")}.tmp`;

function isMarker(text: string): boolean {
  try {
    return markerSchema.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

function notEmpty(directory: string): PenniError {
  return new PenniError("io", "this directory is not empty, and no store of Penni", {
    file: directory,
    advice: "Choose an empty directory for the store",
  });
}

function damaged(file: string, found: string): PenniError {
  return new PenniError("bad-file", "the store is damaged", {
    file,
    expected: "what its name says",
    found,
    advice: "Delete it: what is missing is made again",
  });
}

/** Undefined where there is no such file. @throws PenniError "bad-file" if it is a link */
async function readPlain(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, { encoding: "utf8", flag: PLAIN });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ELOOP") throw damaged(file, "a link");
    if (code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether an object is there and what its name says. */
async function isWhole(file: string, sha256: string): Promise<boolean> {
  const stats = await lstat(file).catch(() => undefined);
  if (stats === undefined) return false;
  if (!stats.isFile()) throw damaged(file, "a link or folder");
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex") === sha256;
}

/** Copies a file into one that is not there yet, and says what it was. */
async function copy(from: string, to: string, isDurable: boolean): Promise<StoredFile> {
  const hash = createHash("sha256");
  let bytes = 0;
  const counting = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.byteLength;
      done(null, chunk);
    },
  });
  const target = createWriteStream(to, { flags: "wx", flush: isDurable });
  // Which of the two disks is at fault.
  let failure: Error | undefined;
  target.on("error", (error) => {
    failure ??= error;
  });
  try {
    await pipeline(createReadStream(from), counting, target);
  } catch (error) {
    throw error === failure ? ioError(to, "cannot write the file", error) : error;
  }
  return { sha256: hash.digest("hex"), bytes };
}
