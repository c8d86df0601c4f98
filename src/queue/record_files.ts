import { link } from "node:fs/promises";
import path from "node:path";
import { PenniError } from "../graph/errors.js";
import { digestSchema } from "./names.js";
import {
  damaged,
  errnoOf,
  readPlain,
  removeFile,
  replaceFile,
  sha256Of,
  temporaryName,
  writeNew,
} from "./plain_files.js";
import { lasting, type RecordName, recordNames } from "./store.js";
import type { StoreFolders } from "./store_folders.js";

/** A record begins with the digest of what follows, on a line of its own. */
const DIGEST_LINE = 65;

/** The records of trials, in files of a store's directory. What the system says is thrown as it is. */
export class RecordFiles {
  constructor(
    private readonly folders: StoreFolders,
    /** Whether what must last survives a power cut. */
    private readonly isDurable: boolean,
  ) {}

  async read(trial: string, name: RecordName): Promise<Uint8Array | undefined> {
    const file = this.fileOf(trial, name);
    const isThere = await this.folders.areThere(["trials", trial]);
    const bytes = isThere ? await readPlain(file) : undefined;
    if (bytes === undefined) {
      // A store that is away has no record either.
      await this.folders.checkMounted();
      return undefined;
    }
    const content = bytes.subarray(DIGEST_LINE);
    if (new TextDecoder().decode(bytes.subarray(0, DIGEST_LINE)) === `${sha256Of(content)}\n`) return content;
    if (lasting[name]) throw damaged(file, "other content");
    return undefined;
  }

  async set(trial: string, name: RecordName, content: string): Promise<void> {
    const file = this.fileOf(trial, name);
    await this.folders.make(["trials", trial]);
    await replaceFile(file, withDigest(content), this.isDurable && lasting[name]);
  }

  /** @returns whether it was this one */
  async setFirst(trial: string, name: RecordName, content: string): Promise<boolean> {
    const file = this.fileOf(trial, name);
    const temporary = path.join(await this.folders.make(["trials", trial]), temporaryName());
    try {
      await writeNew(temporary, withDigest(content), this.isDurable && lasting[name]);
      // Of all that try, on any machine, one makes the name.
      await link(temporary, file);
      return true;
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      return false;
    } finally {
      await removeFile(temporary);
    }
  }

  async remove(trial: string, name: RecordName): Promise<void> {
    await removeFile(this.fileOf(trial, name));
  }

  private fileOf(trial: string, name: RecordName): string {
    if (!recordNames.includes(name)) throw new PenniError("internal", "no such record");
    return path.join(this.folders.root, "trials", digestSchema.parse(trial), name);
  }
}

const withDigest = (content: string): string => `${sha256Of(content)}\n${content}`;
