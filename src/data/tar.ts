import { createReadStream } from "node:fs";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { PenniError } from "../graph/errors.js";
import { badData } from "./files.js";

/**
 * Reads files from a gzipped tar archive by their base names, in one pass that ends as soon as all are
 * found. Names that the archive lacks are missing from the result. An entry larger than `maxBytes`, or an
 * archive that cannot be read, is a `PenniError` "bad-data".
 */
export async function readFromArchive(
  archive: string,
  names: readonly string[],
  maxBytes: number,
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const source = createReadStream(archive);
  const unzipped = createGunzip();
  const entries = extract();
  source.on("error", (cause) => entries.destroy(cause));
  unzipped.on("error", (cause) => entries.destroy(cause));
  source.pipe(unzipped).pipe(entries);
  try {
    for await (const entry of entries) {
      const name = path.posix.basename(entry.header.name);
      if (entry.header.type !== "file" || !names.includes(name)) {
        entry.resume();
        continue;
      }
      if ((entry.header.size ?? 0) > maxBytes) {
        throw badData(archive, `"${name}" in the archive is too large`, {
          expected: `at most ${maxBytes} bytes`,
          found: `${entry.header.size}`,
        });
      }
      found.set(name, await buffer(entry));
      if (found.size === names.length) break;
    }
  } catch (cause) {
    if (cause instanceof PenniError) throw cause;
    throw badData(
      archive,
      "cannot read the archive",
      { expected: "a gzipped tar file", advice: "Download it again." },
      cause,
    );
  } finally {
    source.destroy();
    unzipped.destroy();
  }
  return found;
}
