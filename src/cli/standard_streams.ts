import { fstatSync, writeSync } from "node:fs";
import { Writable } from "node:stream";
import type { OutputStream } from "./terminal.js";

/**
 * The process's stdout or stderr. Where that is a file, Node's own stream writes what still fits onto a full disk and
 * says nothing of the rest; this one fails.
 */
export function standardStream(own: NodeJS.WriteStream & { readonly fd: number }): OutputStream {
  const { fd } = own;
  if (!fstatSync(fd).isFile()) return own;
  return new Writable({
    write(chunk: Uint8Array, _encoding, done): void {
      try {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        done();
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
}
