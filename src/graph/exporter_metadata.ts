import { orDefault, present } from "./at.js";

// What exporters say of pictures and classes in their own words, for models that say nothing in Penni's.

/** Who writes the entries "author", "task", "names", "channels", ... */
const ULTRALYTICS = "Ultralytics";

/** What such a model says, in the words of `Preprocessing`. */
interface Stated extends Fit {
  readonly mean: number[];
  readonly std: number[];
  readonly scale: number;
  readonly layout: "NCHW";
  readonly colour: "rgb";
  readonly filter: "cubic";
}

interface Fit {
  readonly resize: "cover" | "letterbox";
  readonly pad?: number[];
}

const FRAME = 114;

/** By task: class scores are of the middle of a picture, boxes and masks of all of it in a grey frame. */
function fitFor(task: string | undefined): Fit | undefined {
  if (task === "classify") return { resize: "cover" };
  const showsAll = task === "detect" || task === "segment" || task === "pose" || task === "obb";
  return showsAll ? { resize: "letterbox", pad: [FRAME, FRAME, FRAME] } : undefined;
}

/** How Ultralytics' networks take pictures: levels from 0 to 1, in colour unless they say otherwise. */
export function exporterPreprocessing(metadata: ReadonlyMap<string, string>): Stated | undefined {
  const fit = metadata.get("author") === ULTRALYTICS ? fitFor(metadata.get("task")) : undefined;
  const channels = Number(orDefault(metadata.get("channels"), "3"));
  if (fit === undefined || (channels !== 1 && channels !== 3)) return undefined;
  return {
    mean: new Array<number>(channels).fill(0),
    std: new Array<number>(channels).fill(1),
    scale: 1 / 255,
    layout: "NCHW",
    colour: "rgb",
    ...fit,
    filter: "cubic",
  };
}

/** The entry with class names. */
export const EXPORTER_NAMES_KEY = "names";

/**
 * The class names in the entry "names" of Ultralytics' models and of YOLOv5, which has "stride" beside it: Python's
 * dictionary of all numbers from 0 on, or its list. Undefined for anything else.
 */
export function exporterClassNames(metadata: ReadonlyMap<string, string>): readonly string[] | undefined {
  const names = metadata.get(EXPORTER_NAMES_KEY);
  if (names === undefined || !(metadata.has("stride") || metadata.get("author") === ULTRALYTICS))
    return undefined;
  return pythonTexts(names);
}

/** A text as Python writes it in a list or, behind its number, in a dictionary, with what comes before and after. */
const ITEM = /\s*(?:(\d+)\s*:\s*)?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(,|$)/sy;

function pythonTexts(source: string): readonly string[] | undefined {
  const text = source.trim();
  const isDictionary = text.startsWith("{") && text.endsWith("}");
  if (!isDictionary && !(text.startsWith("[") && text.endsWith("]"))) return undefined;
  const inside = text.slice(1, -1);
  const found: string[] = [];
  for (let at = 0; at < inside.length; ) {
    ITEM.lastIndex = at;
    const match = ITEM.exec(inside);
    if (match === null) return undefined;
    const [item, key, single, double] = match;
    if (key !== (isDictionary ? `${found.length}` : undefined)) return undefined;
    found.push(unescaped(present(single ?? double)));
    at += item.length;
  }
  return found.length === 0 ? undefined : found;
}

/** Escapes of one letter that Python writes. */
const letters: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-f]{2})|u([\da-f]{4})|U(000[\da-f]{5}|0010[\da-f]{4})|(.))/gsu,
    (_, ...codes: readonly (string | undefined)[]) => {
      const code = codes.slice(0, 3).find((digits) => digits !== undefined);
      if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
      const letter = present(codes[3]);
      return letters[letter] ?? letter;
    },
  );
}
