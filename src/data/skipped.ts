import type { OtherFormat } from "./image_formats.js";
import { type FilePath, pathKey, shownPath } from "./paths.js";

/** Why an entry of a folder of images is no image, or is not used. */
export type SkipReason =
  | "hidden"
  | "system"
  | "dangling"
  | "circle"
  | "repeated"
  | "special"
  | "unreadable"
  | "empty"
  | "disguised"
  | "other"
  | "nested"
  | "beside"
  | OtherFormat;

/** One of a kind, and several. */
const descriptions: Readonly<Record<SkipReason, readonly [one: string, several: string]>> = {
  hidden: ["hidden entry", "hidden entries"],
  system: ["entry that a system keeps for itself", "entries that a system keeps for itself"],
  dangling: ["link to nothing", "links to nothing"],
  circle: ["link in a circle", "links in a circle"],
  repeated: ["folder that was read already", "folders that were read already"],
  special: ["pipe, socket or device", "pipes, sockets or devices"],
  unreadable: ["entry that cannot be read", "entries that cannot be read"],
  empty: ["empty file", "empty files"],
  disguised: ["picture under another extension", "pictures under other extensions"],
  other: ["other file", "other files"],
  nested: ["folder inside a class folder", "folders inside class folders"],
  beside: [
    "entry beside the folders of train and test images",
    "entries beside the folders of train and test images",
  ],
  SVG: ["SVG picture", "SVG pictures"],
  BMP: ["BMP picture", "BMP pictures"],
  HEIC: ["HEIC picture", "HEIC pictures"],
  "JPEG XL": ["JPEG XL picture", "JPEG XL pictures"],
  "JPEG 2000": ["JPEG 2000 picture", "JPEG 2000 pictures"],
  Photoshop: ["Photoshop picture", "Photoshop pictures"],
  PNM: ["PNM picture", "PNM pictures"],
  ICO: ["ICO picture", "ICO pictures"],
  OpenEXR: ["OpenEXR picture", "OpenEXR pictures"],
  QOI: ["QOI picture", "QOI pictures"],
  PDF: ["PDF document", "PDF documents"],
  video: ["video", "videos"],
};

/** How videos become pictures. */
export const FRAMES = "ffmpeg -i VIDEO -vf fps=1 FOLDER/%05d.jpg takes a picture of each second";

/** Examples of each kind that a message names. */
const EXAMPLES = 3;

/** At most three things, as a message shows them. */
export function someOf<Thing>(things: readonly Thing[], show: (thing: Thing) => string): string {
  const more = things.length - EXAMPLES;
  return `${things.slice(0, EXAMPLES).map(show).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** At most three paths, as a message shows them. */
export function somePaths(paths: readonly FilePath[], root: string): string {
  return someOf(paths, (file) => shownRelative(file, root));
}

/** A path below a folder, as a message shows it. */
export function shownRelative(path: FilePath, root: string): string {
  const file = shownPath(path);
  const start = shownPath(root).replace(/[\\/]*$/, "");
  return file.startsWith(start) && /^[\\/]/.test(file.slice(start.length))
    ? file.slice(start.length + 1)
    : file;
}

/** What a listing leaves out, each path once. */
export class Skipped {
  private readonly byReason = new Map<SkipReason, Map<string, FilePath>>();

  add(reason: SkipReason, file: FilePath): void {
    const paths = this.byReason.get(reason) ?? new Map<string, FilePath>();
    paths.set(pathKey(file), file);
    this.byReason.set(reason, paths);
  }

  /** A line for each kind: how many, and some of them. */
  describe(root: string): readonly string[] {
    return [...this.byReason].map(([reason, paths]) => {
      const [one, several] = descriptions[reason];
      const shown = somePaths([...paths.values()].sort(byKey), root);
      const advice = reason === "video" ? ` (${FRAMES})` : "";
      return `skipped ${paths.size} ${paths.size === 1 ? one : several}: ${shown}${advice}`;
    });
  }

  has(reason: SkipReason): boolean {
    return this.byReason.has(reason);
  }
}

function byKey(a: FilePath, b: FilePath): number {
  const [first, second] = [pathKey(a), pathKey(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}
