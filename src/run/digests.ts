import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { ioError, writeFileAtomic } from "../files/atomic.js";
import { at } from "../graph/at.js";

/** As `sha256sum` writes and checks it. */
const NAME = "SHA256SUMS";
const LINE = /^([0-9a-f]{64}) {2}(.+)$/;

/**
 * The SHA-256 digests of a folder's files, in a file of their own: what a bad disk changed in a weight is no error of
 * the file's format. A file without a digest (written by an earlier version, or just before a kill) counts as whole.
 */
export class Digests {
  readonly file: string;

  constructor(private readonly folder: string) {
    this.file = path.join(folder, NAME);
  }

  /** Notes what is in these files of the folder now; those that are not there are left out. @throws PenniError "io" */
  async record(names: readonly string[]): Promise<void> {
    const digests = new Map(await this.read());
    for (const name of names) {
      const file = path.join(this.folder, name);
      if (existsSync(file)) digests.set(name, await digestOf(file));
      else digests.delete(name);
    }
    const lines = [...digests].map(([name, digest]) => `${digest}  ${name}\n`);
    await writeFileAtomic(this.file, lines.join(""));
  }

  /** Whether a file is there and is not what was noted. @throws PenniError "io" */
  async isChanged(name: string): Promise<boolean> {
    const noted = (await this.read()).get(name);
    const file = path.join(this.folder, name);
    return noted !== undefined && existsSync(file) && (await digestOf(file)) !== noted;
  }

  /** Whether a file was noted and is not there. @throws PenniError "io" */
  async isGone(name: string): Promise<boolean> {
    return (await this.read()).has(name) && !existsSync(path.join(this.folder, name));
  }

  /** Lines that are damaged say nothing. */
  private async read(): Promise<ReadonlyMap<string, string>> {
    if (!existsSync(this.file)) return new Map();
    let text: string;
    try {
      text = await readFile(this.file, "utf8");
    } catch (error) {
      throw ioError(this.file, "cannot read the file", error);
    }
    return new Map(
      text.split("\n").flatMap((line) => {
        const found = LINE.exec(line);
        return found === null ? [] : [[at(found, 2), at(found, 1)] as const];
      }),
    );
  }
}

/** SHA-256 of a file, in hexadecimal digits. @throws PenniError "io" */
export async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    throw ioError(file, "cannot read the file", error);
  }
  return hash.digest("hex");
}
