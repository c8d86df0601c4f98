import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { formatOfContent, formatOfName } from "../../src/data/image_formats.js";
import { type Dataset, labelsOf, openDataset } from "../../src/data/index.js";
import { shownPath, textOfName } from "../../src/data/paths.js";

const root = mkdtempSync(path.join(tmpdir(), "penni-skipped-"));
after(() => {
  spawnSync("chmod", ["-R", "u+rwx", root]);
  rmSync(root, { recursive: true, force: true });
});

const imageSize = { width: 8, height: 8 };
const at = (...names: string[]): string => path.join(root, ...names);
const isWindows = process.platform === "win32";

const colour = (background: { r: number; g: number; b: number }) =>
  sharp({ create: { width: 8, height: 8, channels: 3, background } });
const red = { r: 250, g: 10, b: 10 };
const png = await colour(red).png().toBuffer();
const svg = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"></svg>\n';

function folder(...names: string[]): string {
  mkdirSync(at(...names), { recursive: true });
  return at(...names);
}

async function counts(dataset: Dataset): Promise<number> {
  return (await dataset.train()).count + (await dataset.test()).count;
}

const openAs = (kind: "folder" | "images", name: string) => openDataset(`${kind}:${at(name)}`, { imageSize });

test("videos are named as what they are, with the way to pictures", async () => {
  const clips: Readonly<Record<string, string>> = {
    "a.mp4": "\0\0\0\x18ftypisom\0\0\0\0isommp41",
    "b.mov": "\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "c.webm": "\x1aE\xdf\xa3\x01\0\0\0",
    "d.avi": "RIFF\0\0\0\0AVI LIST",
    "e.jpg": "\0\0\0\x18ftypmp42\0\0\0\0mp42",
  };
  const away = folder("clips");
  for (const [name, content] of Object.entries(clips)) {
    writeFileSync(path.join(away, name), Buffer.from(content.padEnd(64, "\0"), "latin1"));
    assert.equal(formatOfContent(Buffer.from(content, "latin1")), "video", name);
  }
  // Music has the same container.
  assert.equal(formatOfContent(Buffer.from("\0\0\0\x18ftypM4A \0\0\0\0isom", "latin1")), undefined);
  await assert.rejects(openAs("images", "clips"), {
    message: /no images.*Take pictures out of the videos: ffmpeg -i/,
  });
  writeFileSync(path.join(away, "1.png"), png);
  writeFileSync(path.join(away, "2.png"), png);
  const dataset = await openAs("images", "clips");
  assert.deepEqual(dataset.notices, [
    "skipped 5 videos: a.mp4, b.mov, c.webm and 2 more (ffmpeg -i VIDEO -vf fps=1 FOLDER/%05d.jpg takes a picture of each second)",
  ]);
});

test("what is no picture is counted and named, by kind; nothing waits for a pipe", {
  skip: isWindows,
}, async () => {
  const cats = folder("mixed", "cat");
  for (const name of ["1.png", "2.png"]) writeFileSync(path.join(folder("mixed", "dog"), name), png);
  for (let index = 0; index < 5; index++) writeFileSync(path.join(cats, `${index}.png`), png);
  for (const name of ["pipe.png", "pipe2.jpg"]) spawnSync("mkfifo", [path.join(cats, name)]);
  symlinkSync("nowhere.png", path.join(cats, "dead.png"));
  symlinkSync("self.png", path.join(cats, "self.png"));
  symlinkSync("pipe.png", path.join(cats, "to-pipe.png"));
  symlinkSync("0.png", path.join(cats, "to-picture.png"));
  for (const name of ["empty.png", "zero.webp", "none.gif", "void.tif"])
    writeFileSync(path.join(cats, name), "");
  writeFileSync(path.join(cats, "drawing.png"), svg);
  writeFileSync(path.join(cats, "drawing2.svg"), `\ufeff<!-- a comment -->\n${svg.slice(22)}`);
  writeFileSync(path.join(cats, "photo.png"), Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic", "latin1"));
  writeFileSync(path.join(cats, "copy.png.bak"), png);
  writeFileSync(path.join(cats, ".hidden.png"), png);
  writeFileSync(path.join(cats, "Thumbs.db"), "not a picture");
  writeFileSync(at("mixed", "labels.csv"), "1,2,3");
  writeFileSync(path.join(folder("mixed", "cat", "more"), "1.png"), png);
  const server = createServer().listen(path.join(cats, "socket"));
  const dataset = await openAs("folder", "mixed");
  server.close();
  assert.deepEqual(dataset.classNames, ["cat", "dog"]);
  assert.equal(await counts(dataset), 8);
  assert.deepEqual([...(dataset.notices ?? [])].sort(), [
    "skipped 1 HEIC picture: cat/photo.png",
    "skipped 1 entry that a system keeps for itself: cat/Thumbs.db",
    "skipped 1 folder inside a class folder: cat/more",
    "skipped 1 hidden entry: cat/.hidden.png",
    "skipped 1 link in a circle: cat/self.png",
    "skipped 1 link to nothing: cat/dead.png",
    "skipped 1 other file: labels.csv",
    "skipped 1 picture under another extension: cat/copy.png.bak",
    "skipped 2 SVG pictures: cat/drawing.png, cat/drawing2.svg",
    "skipped 4 empty files: cat/empty.png, cat/none.gif, cat/void.tif and 1 more",
    "skipped 4 pipes, sockets or devices: cat/pipe.png, cat/pipe2.jpg, cat/socket and 1 more",
  ]);
});

test("the content decides what a picture is, whatever its name says, and what is unusual is said", async () => {
  const all = folder("formats");
  const save = async (name: string, bytes: Promise<Buffer>): Promise<void> =>
    writeFileSync(path.join(all, name), await bytes);
  const other = { r: 10, g: 10, b: 250 };
  await save("a.png", colour(red).jpeg({ quality: 100 }).toBuffer());
  await save("b.jpg", colour(red).gif().toBuffer());
  await save("c.tiff", colour(red).tiff().toBuffer());
  await save("d.avif", colour(red).avif({ quality: 90 }).toBuffer());
  await save("e.webp", colour(red).webp({ lossless: true }).toBuffer());
  await save("f", colour(red).png().toBuffer());
  const frames = await Promise.all([red, other].map((each) => colour(each).png().toBuffer()));
  await save(
    "g.gif",
    sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer(),
  );
  const dataset = await openAs("images", "formats");
  assert.equal(await counts(dataset), 7);
  for (const split of [await dataset.train(), await dataset.test()]) {
    for (let image = 0; image < split.count; image++) {
      const [r = 0, , b = 0] = [0, 1, 2].map((channel) => split.pixels[(image * 3 + channel) * 64] ?? 0);
      assert.ok(r > 200 && b < 60, `image ${image} is red, also where another frame follows: ${r}, ${b}`);
    }
  }
  assert.deepEqual(dataset.notices, [
    "2 of 7 pictures have another format than their names say, and are read as what they are: a.png is JPEG, b.jpg is GIF",
    "4 of 7 pictures are GIF, TIFF or AVIF, the first frame of which is read: b.jpg, c.tiff, d.avif and 1 more",
  ]);
});

test("formats are told by their first bytes", () => {
  const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["\xff\xd8\xff\xe0", "JPEG"],
    ["RIFF\x10\0\0\0WEBPVP8 ", "WebP"],
    ["RIFF\x10\0\0\0WAVEfmt ", undefined],
    ["MM\0*\0\0\0\x08", "TIFF"],
    ["\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"],
    ["\0\0\0\x1cftypisom\0\0\0\0isomiso2avc1", "video"],
    ["BM\x36\x10\0\0\0\0\0\0\x36\0", "BMP"],
    ["BMW is a car", undefined],
    ["P6\n3 2\n255\n", "PNM"],
    ["  <svg width='3'>", "SVG"],
    ["\xff\xfe<\0s\0v\0g\0 \0", "SVG"],
    ["<html><body>404</body></html>", undefined],
    ["", undefined],
  ];
  for (const [head, format] of cases)
    assert.equal(formatOfContent(bytes(head)), format, JSON.stringify(head));
  assert.deepEqual(["x.JPE", "x.png.bak", "png", ".png", "x.TIF"].map(formatOfName), [
    "JPEG",
    undefined,
    undefined,
    undefined,
    "TIFF",
  ]);
});

test("a page that was saved under a picture's name is damaged, and named", async () => {
  writeFileSync(path.join(folder("page"), "a.png"), png);
  writeFileSync(at("page", "b.jpg"), "<html><body>404 not found</body></html>");
  const dataset = await openAs("images", "page");
  await assert.rejects(Promise.all([dataset.train(), dataset.test()]), {
    code: "bad-data",
    message: /b\.jpg: cannot read the image: expected a PNG, JPEG, WebP, GIF, TIFF or AVIF image/,
  });
});

test("a drawing that its first bytes hide is not drawn as a picture", async () => {
  const hidden = `<?xml version="1.0"?>\n<!--${" ".repeat(2000)}-->\n${svg.slice(22)}`;
  for (const [name, bytes] of Object.entries({ packed: gzipSync(svg), hidden: Buffer.from(hidden) })) {
    writeFileSync(path.join(folder(name), "a.png"), png);
    writeFileSync(at(name, "b.png"), bytes);
    const dataset = await openAs("images", name);
    await assert.rejects(Promise.all([dataset.train(), dataset.test()]), {
      code: "bad-data",
      message: /b\.png: cannot read the image: .*found svg, another format/,
    });
  }
});

test("a file in the place of a folder of images is called one", async () => {
  writeFileSync(path.join(folder("file"), "a.png"), png);
  await assert.rejects(openAs("images", "file/a.png"), {
    code: "bad-data",
    message: /a\.png: this is a file, where a folder is needed/,
  });
});

/** `name` in Latin-1, which a file system may hold, too. */
function rename(from: string, directory: string, name: string): boolean {
  try {
    renameSync(from, Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, "latin1")]));
    return true;
  } catch {
    return false;
  }
}

test("names that are not UTF-8 are names as well", async (context) => {
  const classes = folder("latin");
  for (const name of ["0.png", "1.png", "2.png"]) writeFileSync(path.join(folder("latin", "a"), name), png);
  for (const name of ["3.png", "4.png"]) writeFileSync(path.join(folder("latin", "zoo"), name), png);
  if (
    !rename(path.join(classes, "a", "1.png"), path.join(classes, "a"), "\xe9t\xe9.png") ||
    !rename(path.join(classes, "a"), classes, "caf\xe9")
  ) {
    context.skip("this file system takes only UTF-8");
    return;
  }
  const dataset = await openAs("folder", "latin");
  assert.deepEqual(dataset.classNames, ["caf\\xe9", "zoo"]);
  assert.equal(await counts(dataset), 5);
  const labels = [...labelsOf(await dataset.train()), ...labelsOf(await dataset.test())];
  assert.deepEqual(labels.sort(), [0, 0, 0, 1, 1]);
  assert.equal(await counts(await openAs("images", "latin")), 5);
});

test("names do nothing to a terminal", { skip: isWindows }, async () => {
  const all = folder("escapes");
  writeFileSync(path.join(all, "good.png"), png);
  writeFileSync(path.join(all, "\u001b[2J\u202egnp.exe\n.txt"), "text");
  assert.deepEqual((await openAs("images", "escapes")).notices, [
    "skipped 1 other file: \\u{1b}[2J\\u{202e}gnp.exe\\u{a}.txt",
  ]);
  assert.equal(shownPath(Buffer.from([0x9b, 0x41, 0xc3, 0xa9])), "\\x9bAé");
  assert.equal(textOfName(Buffer.from([0xf0, 0x9f, 0x90, 0x88, 0xf0, 0x9f])), "🐈\\xf0\\x9f");
});

test("folders that are links in circles, and what lies beside train and test", {
  skip: isWindows,
}, async () => {
  writeFileSync(path.join(folder("circle", "a", "b"), "1.png"), png);
  symlinkSync("../..", at("circle", "a", "b", "up"));
  symlinkSync(".", at("circle", "here"));
  const circle = await openAs("images", "circle");
  assert.equal(await counts(circle), 1);
  assert.deepEqual(circle.notices, ["skipped 2 folders that were read already: a/b/up, here"]);

  for (const part of ["train", "test", "val", "extra"])
    writeFileSync(path.join(folder("parts", part, "x"), "1.png"), png);
  assert.deepEqual((await openAs("folder", "parts")).notices, [
    "skipped 2 entries beside the folders of train and test images: extra, val",
  ]);
});

/** Runs a script as a user who may not read everything. */
function asNobody(script: string): { readonly stdout: string; readonly stderr: string } {
  const isRoot = process.getuid?.() === 0;
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    ...(isRoot ? { uid: 65534, gid: 65534 } : {}),
  });
}

const openModule = `const { openDataset } = await import(${JSON.stringify(import.meta.resolve("../../src/data/open.js"))});`;

/** Lists a folder as such a user. */
function listed(spec: string): { readonly stdout: string; readonly stderr: string } {
  return asNobody(`${openModule}
    const { notices } = await openDataset(${JSON.stringify(spec)}, { imageSize: { width: 8, height: 8 } });
    console.log(JSON.stringify(notices));`);
}

/** In the home directory of root, for one, nobody else can read the project. */
const withoutNobody =
  isWindows ||
  (asNobody(openModule).stderr === "" ? false : "no other user can read the project where it lies");

test("what may not be read is counted; a class that may not be read is an error", {
  skip: withoutNobody,
}, async () => {
  writeFileSync(path.join(folder("locked", "open"), "1.png"), png);
  writeFileSync(path.join(folder("locked", "shut"), "1.png"), png);
  writeFileSync(at("locked", "open", "private.png"), png);
  chmodSync(root, 0o755);
  chmodSync(at("locked", "shut"), 0);
  chmodSync(at("locked", "open", "private.png"), 0);
  const tree = listed(`images:${at("locked")}`);
  assert.deepEqual(
    JSON.parse(tree.stdout || "null"),
    ["skipped 2 entries that cannot be read: open/private.png, shut"],
    tree.stderr,
  );
  assert.match(listed(`folder:${at("locked")}`).stderr, /shut: cannot read the folder/);
});
