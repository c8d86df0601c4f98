import { type Opened, openNetwork } from "../model/network.js";
import type { Model } from "./network_calls.js";
import type { Report } from "./rpc.js";

/** Reads and opens a network. */
export async function openModel({ file, data, sizes }: Model, report: Report): Promise<Opened> {
  const bytes = await readFile(file, report);
  report({ text: "Understanding the network", share: undefined });
  return openNetwork(bytes, sizes, new Map(data.map((each) => [each.name, dataOf(each)])));
}

/** A file of weights, of which parts are read when they are needed. */
function dataOf(file: File) {
  const reader = new FileReaderSync();
  return {
    byteLength: file.size,
    read: (offset: number, length: number): Uint8Array =>
      new Uint8Array(reader.readAsArrayBuffer(file.slice(offset, offset + length))),
  };
}

/** What workers have, and the page's types do not. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** The bytes of a file, piece by piece. */
async function readFile(file: Blob, report: Report): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(file.size);
  const reader = file.stream().getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes;
    bytes.set(value, at);
    at += value.byteLength;
    report({ text: "Reading the file", share: at / file.size });
  }
}
