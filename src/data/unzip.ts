import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { messageOf } from "../graph/errors.js";
import { readWhole } from "./files.js";
import { badData } from "./messages.js";

const gunzipAsync = promisify(gunzip);
/** Much more than zlib's 16 kB, which costs four times the time. */
const UNPACKED_CHUNK_BYTES = 2 ** 20;

/**
 * The contents of a gzipped file.
 * @param maxBytes of the file and of what is in it
 * @param expected what messages say it should be
 * @throws PenniError "bad-data" if it cannot be read or holds more
 */
export async function unzip(file: string, maxBytes: number, expected: string): Promise<Uint8Array> {
  const packed = await readWhole(file, maxBytes);
  return gunzipAsync(packed, { maxOutputLength: maxBytes, chunkSize: UNPACKED_CHUNK_BYTES }).catch(
    (cause: unknown) => {
      throw badData(
        file,
        "cannot unpack the file",
        {
          expected,
          found: messageOf(cause),
          advice: "Download it again.",
        },
        cause,
      );
    },
  );
}
