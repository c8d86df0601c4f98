import type { InputSizes, OpenInput } from "../model/network.js";
import type { Settings } from "../model/settings.js";
import type { NetworkSummary, VariantSummary } from "../model/views.js";

export interface Model {
  readonly file: Blob;
  readonly name: string;
  /** Files beside it that hold its weights. */
  readonly data: readonly File[];
  readonly sizes: InputSizes;
}

export type OpenAnswer =
  | { readonly kind: "network"; readonly summary: NetworkSummary }
  | { readonly kind: "open sizes"; readonly inputs: readonly OpenInput[] };

/** A picture that can be put on a canvas. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8Array<ArrayBuffer>;
}

/** What the worker does that holds the network. "Current" is the variant that was asked for last. */
export type NetworkCalls = {
  readonly open: { readonly given: Model; readonly answer: OpenAnswer };
  readonly vary: { readonly given: Settings; readonly answer: VariantSummary };
  /** Takes a network that was made elsewhere, an `.onnx` file, as the current one. */
  readonly adopt: { readonly given: Uint8Array; readonly answer: VariantSummary };
  /** Writes the current one: the size of its file, and its bytes for runtimes that know no zeros. */
  readonly write: {
    readonly given: undefined;
    readonly answer: { readonly bytes: number; readonly plain: Uint8Array };
  };
  /** The original, for one image with float32 inputs and outputs. */
  readonly plainOriginal: { readonly given: undefined; readonly answer: Uint8Array };
  /** The current one's file. */
  readonly file: { readonly given: undefined; readonly answer: Uint8Array };
  readonly compile: {
    readonly given: undefined;
    readonly answer: {
      readonly module: Uint8Array;
      readonly seconds: number;
      /** Products of one run. */
      readonly macs: number;
    };
  };
  /** A page with the current one compiled inside. */
  readonly page: { readonly given: undefined; readonly answer: string | Uint8Array };
  /** Which coefficients of a layer are left. */
  readonly coefficients: { readonly given: { readonly layer: string }; readonly answer: Pixels | undefined };
};
