/** Formats of pictures that are read; of those that can hold several pictures the first. */
export const readFormats = ["PNG", "JPEG", "WebP", "GIF", "TIFF", "AVIF"] as const;

export type ReadFormat = (typeof readFormats)[number];

/** Formats of pictures that are recognised but not read: vectors, raw data, what ships without a decoder. */
export const otherFormats = [
  "SVG",
  "BMP",
  "HEIC",
  "JPEG XL",
  "JPEG 2000",
  "Photoshop",
  "PNM",
  "ICO",
  "OpenEXR",
  "QOI",
  "PDF",
  "video",
] as const;

export type OtherFormat = (typeof otherFormats)[number];

/** What the formats are called in messages. */
export const READ_FORMATS = "PNG, JPEG, WebP, GIF, TIFF or AVIF";

/** Extensions under which files of these formats are looked for, lower case. */
const extensions: Readonly<Record<ReadFormat, readonly string[]>> = {
  PNG: ["png", "apng"],
  JPEG: ["jpg", "jpeg", "jpe", "jfif"],
  WebP: ["webp"],
  GIF: ["gif"],
  TIFF: ["tif", "tiff"],
  AVIF: ["avif", "avifs"],
};

/** First bytes of a file that tell its format. */
export const HEAD_BYTES = 1024;

const isReadFormat = (format: string): format is ReadFormat => readFormats.some((each) => each === format);

/** The format that a file's name promises, if it is one that is read. */
export function formatOfName(name: string): ReadFormat | undefined {
  const extension = extensionOf(name);
  if (extension === undefined) return undefined;
  return readFormats.find((format) => extensions[format].includes(extension));
}

/** Lower case, without the dot; undefined where a name has none. */
export function extensionOf(name: string): string | undefined {
  return /.\.([^.]*)$/.exec(name)?.[1]?.toLowerCase();
}

export function isRead(format: ReadFormat | OtherFormat | undefined): format is ReadFormat {
  return format !== undefined && isReadFormat(format);
}

/** Bytes as text, one character each, and where they stand. */
const signatures: readonly (readonly [ReadFormat | OtherFormat, number, string])[] = [
  ["PNG", 0, "\x89PNG\r\n\x1a\n"],
  ["JPEG", 0, "\xff\xd8\xff"],
  ["GIF", 0, "GIF87a"],
  ["GIF", 0, "GIF89a"],
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["TIFF", 0, "II+\0"],
  ["TIFF", 0, "MM\0+"],
  ["JPEG XL", 0, "\xff\x0a"],
  ["JPEG XL", 0, "\0\0\0\x0cJXL "],
  ["JPEG 2000", 0, "\0\0\0\x0cjP  "],
  ["JPEG 2000", 0, "\xff\x4f\xff\x51"],
  ["Photoshop", 0, "8BPS\0"],
  ["ICO", 0, "\0\0\x01\0"],
  ["OpenEXR", 0, "v/1\x01"],
  ["QOI", 0, "qoif"],
  ["PDF", 0, "%PDF-"],
  // Matroska and WebM.
  ["video", 0, "\x1aE\xdf\xa3"],
  // QuickTime before it said what it is.
  ["video", 4, "moov"],
  ["video", 4, "mdat"],
];

/** The format of a file by its first bytes (up to `HEAD_BYTES`), whatever its name is. */
export function formatOfContent(head: Uint8Array): ReadFormat | OtherFormat | undefined {
  const text = Buffer.from(head).toString("latin1");
  const known = signatures.find(([, at, signature]) => text.startsWith(signature, at));
  if (known !== undefined) return known[0];
  if (text.startsWith("RIFF") && text.startsWith("WEBP", 8)) return "WebP";
  if (text.startsWith("RIFF") && text.startsWith("AVI ", 8)) return "video";
  if (text.startsWith("ftyp", 4)) return formatOfBrands(text);
  // Of a bitmap's file header: the name, and a reserved field of zeros.
  if (text.startsWith("BM") && text.startsWith("\0\0\0\0", 6)) return "BMP";
  if (/^P[1-7]\s/.test(text)) return "PNM";
  return isSvg(text) ? "SVG" : undefined;
}

/** ISO base media: the main brand and those it is compatible with. */
function formatOfBrands(text: string): ReadFormat | OtherFormat | undefined {
  const size = text.charCodeAt(2) * 256 + text.charCodeAt(3);
  const brands = text.slice(8, Math.max(12, Math.min(size, text.length)));
  if (/avi[fs]/.test(brands)) return "AVIF";
  if (/hei[cxms]|hev[cx]|mif1|msf1/.test(brands)) return "HEIC";
  return !brands.startsWith("M4A") && /isom|iso[2-9]|mp4[12]|avc1|qt {2}|M4V|3g[p2]|dash|f4v/.test(brands)
    ? "video"
    : undefined;
}

function isSvg(text: string): boolean {
  // Also as UTF-16, every other byte of which is zero here.
  const plain = text.replace(/^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)/, "").replaceAll("\0", "");
  return /^\s*</.test(plain) && /<svg[\s>]/i.test(plain);
}
