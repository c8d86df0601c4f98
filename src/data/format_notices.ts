import type { ImageEntry } from "./folder_reader.js";
import { formatOfName, type ReadFormat } from "./image_formats.js";
import { shownRelative, someOf, somePaths } from "./skipped.js";

/** What is not as its name says, or not whole. */
export function describeFormats(images: readonly ImageEntry[], root: string): readonly string[] {
  const other = images.filter(({ name, format }) => {
    const promised = formatOfName(name);
    return format !== undefined && promised !== undefined && format !== promised;
  });
  const several: readonly ReadFormat[] = ["GIF", "TIFF", "AVIF"];
  const frames = images.filter(({ format }) => format !== undefined && several.includes(format));
  return [
    ...(other.length === 0
      ? []
      : [
          `${other.length} of ${images.length} pictures have another format than their names say, and are read as what they are: ` +
            someOf(other, (image) => `${shownRelative(image.path, root)} is ${image.format}`),
        ]),
    ...(frames.length === 0
      ? []
      : [
          `${frames.length} of ${images.length} pictures are GIF, TIFF or AVIF, the first frame of which is read: ` +
            somePaths(
              frames.map((image) => image.path),
              root,
            ),
        ]),
  ];
}
