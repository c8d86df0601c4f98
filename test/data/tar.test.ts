import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type Pack, pack } from "tar-stream";
import { readFromArchive } from "../../src/data/tar.js";

const root = mkdtempSync(path.join(os.tmpdir(), "penni-tar-"));
after(() => rmSync(root, { recursive: true }));

const limits = { entryBytes: 5000, archiveBytes: 20_000 };
const wanted = Buffer.from("wanted");

type Entry = Parameters<Pack["entry"]>[0];

/** A tar file with the given entries, `bytes` long if it is cut. */
async function archive(
  name: string,
  entries: readonly (readonly [Entry, Buffer])[],
  bytes?: number,
): Promise<string> {
  const packed = pack();
  for (const [header, content] of entries) packed.entry(header, content);
  packed.finalize();
  const file = path.join(root, name);
  writeFileSync(file, gzipSync((await buffer(packed)).subarray(0, bytes)));
  return file;
}

test("what is asked for is read, whatever small files lie in front of it", async () => {
  const file = await archive("small.tar.gz", [
    [{ name: "other.txt" }, Buffer.alloc(5000)],
    [{ name: "folder/wanted.txt" }, wanted],
  ]);
  assert.deepEqual(await readFromArchive(file, ["wanted.txt"], limits), new Map([["wanted.txt", wanted]]));
});

test("a file that nobody asks for is refused by its header, before anything of it is unpacked", async () => {
  const huge = Buffer.alloc(2 ** 16);
  // Cut behind the header of 512 bytes: whoever reads on finds a damaged file.
  for (const [name, header] of Object.entries({
    "unasked.tar.gz": { name: "unasked.bin" },
    "asked.tar.gz": { name: "wanted.txt" },
  })) {
    const file = await archive(
      name,
      [
        [header, huge],
        [{ name: "wanted.txt" }, wanted],
      ],
      512,
    );
    await assert.rejects(readFromArchive(file, ["wanted.txt"], limits), {
      code: "bad-data",
      message: new RegExp(`"${header.name}" in the archive is too large: expected at most 5000.*found 65536`),
    });
  }
});

test("many files, and headers of any length, are refused once they are too much together", async () => {
  const many = Array.from(
    { length: 5 },
    (_, index) => [{ name: `file${index}` }, Buffer.alloc(4000)] as const,
  );
  const long = [[{ name: "x", pax: { comment: "x".repeat(100_000) } } as Entry, wanted]] as const;
  for (const [name, entries] of [
    ["many.tar.gz", many],
    ["header.tar.gz", long],
  ] as const) {
    const file = await archive(name, [...entries, [{ name: "wanted.txt" }, wanted]]);
    await assert.rejects(readFromArchive(file, ["wanted.txt"], limits), {
      code: "bad-data",
      message: /the archive is too large when unpacked: expected at most 20000 bytes/,
    });
  }
});
