import { createReadStream } from "node:fs";
import path from "node:path";
import { Transform } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { badData } from "./messages.js";

/** What an archive may hold at most, unpacked: some kilobytes can become gigabytes. */
export interface ArchiveLimits {
  /** Bytes of one file, also of one that nobody asks for: to get past it, it has to be unpacked. */
  readonly entryBytes: number;
  /** Bytes of everything up to the last file that is read. */
  readonly archiveBytes: number;
}

/**
 * Reads files from a gzipped tar archive by their base names, in one pass that ends as soon as all are
 * found. Names that the archive lacks are missing from the result. An archive beyond the limits, or one
 * that cannot be read, is a `PenniError` "bad-data".
 */
export async function readFromArchive(
  archive: string,
  names: readonly string[],
  { entryBytes, archiveBytes }: ArchiveLimits,
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const source = createReadStream(archive);
  const unzipped = createGunzip();
  const entries = extract();
  source.on("error", (cause) => entries.destroy(cause));
  unzipped.on("error", (cause) => entries.destroy(cause));
  const bounded = limited(archiveBytes, () =>
    badData(archive, "the archive is too large when unpacked", { expected: `at most ${archiveBytes} bytes` }),
  );
  bounded.on("error", (cause) => entries.destroy(cause));
  source.pipe(unzipped).pipe(bounded).pipe(entries);
  try {
    for await (const entry of entries) {
      const name = path.posix.basename(entry.header.name);
      if (present(entry.header.size) > entryBytes) {
        throw badData(archive, `"${name}" in the archive is too large`, {
          expected: `at most ${entryBytes} bytes`,
          found: `${entry.header.size}`,
        });
      }
      if (entry.header.type !== "file" || !names.includes(name)) {
        entry.resume();
        continue;
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
    bounded.destroy();
  }
  return found;
}

/** Passes bytes on until there are more than `most`. */
function limited(most: number, tooMany: () => PenniError): Transform {
  let seen = 0;
  return new Transform({
    transform(part: Buffer, _, done) {
      seen += part.byteLength;
      if (seen > most) done(tooMany());
      else done(null, part);
    },
  });
}
