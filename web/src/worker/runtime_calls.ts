import type { Box } from "../../../src/runtime/boxes.js";
import type { Agreement, Score } from "../model/agreement.js";
import type { PictureInput } from "../model/network.js";
import type { Pixels } from "./network_calls.js";

/** Where pictures come from: files, or generated ones. */
export type PictureSource =
  | { readonly kind: "files"; readonly files: readonly File[] }
  | { readonly kind: "generated"; readonly count: number };

/** What a network sees in a picture, the most probable or most certain first. */
export interface Seen {
  /** Undefined of what is no classifier. */
  readonly classes: readonly Score[] | undefined;
  /** In pixels of the picture; undefined of what is no detector. */
  readonly boxes: readonly Box[] | undefined;
}

/** How long one run takes, in milliseconds: the median, where it lies with 95 % confidence, and each round's. */
export interface RaceTime {
  readonly medianMs: number;
  readonly lowMs: number;
  readonly highMs: number;
  readonly runs: number;
  readonly roundsMs: readonly number[];
}

/** The original in onnxruntime-web, and the compiled network. */
export interface Race {
  readonly original: RaceTime;
  readonly compiled: RaceTime;
  /** The largest difference of their outputs, in units of `Agreement`. */
  readonly agreement: Agreement;
  /** Why no boxes are drawn of what may be a detector. */
  readonly note: string | undefined;
  /** For each picture. */
  readonly seen: readonly { readonly original: Seen; readonly compiled: Seen }[];
}

/** What both see in one picture, and what it took. */
export interface Look {
  readonly original: { readonly seen: Seen; readonly ms: number };
  readonly compiled: { readonly seen: Seen; readonly ms: number };
  /** Of the picture. */
  readonly width: number;
  readonly height: number;
}

/** What the worker does that runs networks. */
export type RuntimeCalls = {
  /** Loads the original. */
  readonly open: {
    readonly given: {
      readonly plain: Uint8Array;
      readonly input: PictureInput | undefined;
      readonly classNames: readonly string[] | undefined;
      /** Multiply-accumulates of one run, by which the number of pictures is chosen. */
      readonly macs: number;
    };
    readonly answer: undefined;
  };
  /** Takes pictures, which are compared from now on; what they look like to the network. */
  readonly take: { readonly given: PictureSource; readonly answer: { readonly shown: readonly Pixels[] } };
  /** How a changed network answers to the pictures. */
  readonly agree: { readonly given: Uint8Array; readonly answer: Agreement };
  readonly race: { readonly given: { readonly module: Uint8Array }; readonly answer: Race };
  /** Both networks on one picture: of the last race. */
  readonly look: { readonly given: ImageBitmap; readonly answer: Look };
};
