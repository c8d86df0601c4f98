import type { Report } from "./rpc.js";

/** The bytes of a file, piece by piece. */
export async function readFile(file: Blob, report: Report): Promise<Uint8Array<ArrayBuffer>> {
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
