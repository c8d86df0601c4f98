import { present } from "../graph/at.js";
import { allocateImages, type ImageSize, imagePixels, type Split } from "./dataset.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/**
 * The split with its images in another size, each new pixel the mean of the area that it covers (so nothing aliases
 * when images get smaller, and pixels repeat when they get larger); the split itself if it has that size, or none is given.
 */
export function resizeSplit(split: Split, size: ImageSize | undefined): Split {
  const { count, channels, labels } = split;
  if (size === undefined || (size.width === split.width && size.height === split.height)) return split;
  const shape = { count, channels, ...size };
  const classes = split.classes === undefined ? {} : { classes: split.classes };
  const resized: Split = { ...allocateImages(shape), labels, ...classes };
  const rows = coverage(split.height, size.height);
  const columns = coverage(split.width, size.width);
  for (let index = 0; index < count; index += 1) {
    const source = imagePixels(split, index);
    const target = imagePixels(resized, index);
    for (let channel = 0; channel < channels; channel += 1) {
      const from = source.subarray(channel * split.height * split.width);
      const to = target.subarray(channel * size.height * size.width);
      resizePlane(from, split.width, to, { rows, columns });
    }
  }
  return resized;
}

/** The pixels of a line that one pixel of the resized line covers, and their shares, which add up to 1. */
interface Covered {
  readonly first: number;
  readonly shares: readonly number[];
}

function coverage(length: number, resized: number): readonly Covered[] {
  const scale = length / resized;
  return Array.from({ length: resized }, (_, index) => {
    const start = index * scale;
    const end = Math.min(length, start + scale);
    const first = Math.floor(start);
    const count = Math.ceil(end) - first;
    const shares = Array.from({ length: count }, (_, offset) => {
      const pixel = first + offset;
      return (Math.min(end, pixel + 1) - Math.max(start, pixel)) / (end - start);
    });
    return { first, shares };
  });
}

interface Plan {
  readonly rows: readonly Covered[];
  readonly columns: readonly Covered[];
}

function resizePlane(from: Uint8Array, width: number, to: Uint8Array, { rows, columns }: Plan): void {
  rows.forEach((row, y) => {
    columns.forEach((column, x) => {
      let sum = 0;
      row.shares.forEach((rowShare, dy) => {
        const start = (row.first + dy) * width + column.first;
        column.shares.forEach((share, dx) => {
          sum += rowShare * share * read(from[start + dx]);
        });
      });
      to[y * columns.length + x] = Math.round(sum);
    });
  });
}
