/** What a channel beside those of colour is, as TIFF numbers it. */
const UNSPECIFIED = 0;

const EXTRA_SAMPLES = 338;

/** How the two kinds of TIFF lay out a directory: bytes of an offset, of the count before entries, of an entry, of what stands before its value. */
const layouts: ReadonlyMap<number, { readonly offset: 4 | 8; readonly first: number }> = new Map([
  [42, { offset: 4, first: 4 }],
  [43, { offset: 8, first: 8 }],
]);

/**
 * Whether a TIFF file's first picture has a channel beside its colours of which the file does not say that it is alpha:
 * infrared, or anything. The decoder takes the last of them for alpha all the same.
 */
export function hasUnspecifiedChannel(bytes: Uint8Array): boolean {
  try {
    return (
      extraSamples(new DataView(bytes.buffer, bytes.byteOffset, bytes.length))?.includes(UNSPECIFIED) ?? true
    );
  } catch {
    // Damaged, which the decoder says better.
    return false;
  }
}

/** Of the first directory; undefined where it does not say. */
function extraSamples(view: DataView): readonly number[] | undefined {
  const isLittle = view.getUint16(0) === 0x4949;
  const layout = layouts.get(view.getUint16(2, isLittle));
  if (layout === undefined) return undefined;
  const { offset, first } = layout;
  const number = (at: number): number =>
    offset === 4 ? view.getUint32(at, isLittle) : Number(view.getBigUint64(at, isLittle));
  const directory = number(first);
  const [entries, start] =
    offset === 4 ? [view.getUint16(directory, isLittle), directory + 2] : [number(directory), directory + 8];
  for (let entry = 0; entry < entries; entry++) {
    const at = start + entry * (4 + 2 * offset);
    if (view.getUint16(at, isLittle) !== EXTRA_SAMPLES) continue;
    const count = number(at + 4);
    const values = at + 4 + offset;
    const from = 2 * count <= offset ? values : number(values);
    return Array.from({ length: Math.min(count, MOST) }, (_, index) =>
      view.getUint16(from + 2 * index, isLittle),
    );
  }
  return undefined;
}

/** Channels; the decoder reads none of pictures with more. */
const MOST = 8;
