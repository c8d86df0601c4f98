import { open, stat } from "node:fs/promises";

const LINE_END = 10;

/** Reads what is new in a file that grows by lines, whole lines only. */
export class LineReader {
  private offset = 0;
  private rest: Buffer = Buffer.alloc(0);

  constructor(private readonly file: string) {}

  /** The lines that have come since the last call, without their ends; none where there is no file. */
  async news(): Promise<readonly string[]> {
    const size = (await stat(this.file).catch(() => undefined))?.size;
    if (size === undefined || size === this.offset) return [];
    // A run that goes on cuts a torn line off.
    if (size < this.offset) [this.offset, this.rest] = [size, Buffer.alloc(0)];
    const bytes = Buffer.concat([this.rest, await readFrom(this.file, this.offset, size - this.offset)]);
    this.offset = size;
    const end = bytes.lastIndexOf(LINE_END) + 1;
    this.rest = bytes.subarray(end);
    return bytes.subarray(0, end).toString().split("\n").slice(0, -1);
  }
}

async function readFrom(file: string, offset: number, length: number): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
