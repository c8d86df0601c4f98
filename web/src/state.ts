import { signal } from "@preact/signals";
import type { Agreement } from "./model/agreement.js";
import type { OpenInput } from "./model/network.js";
import { type Settings, startSettings } from "./model/settings.js";
import type { NetworkSummary, VariantSummary } from "./model/views.js";
import type { Model, Pixels } from "./worker/network_calls.js";
import type { Progress } from "./worker/rpc.js";
import type { PictureSource, Race } from "./worker/runtime_calls.js";

/** All that the page shows. What changes it stands in actions/, and everything that takes time is done by workers. */

/** Something that is being done: how far it is, or why it failed. */
export interface Work {
  readonly progress: Progress | undefined;
  readonly failure: string | undefined;
}

export const idle: Work = { progress: undefined, failure: undefined };

/** What the changed network was made by. */
export type Maker = "sliders" | "calibration";

/** A calibrated network, for which the sliders have no place. */
export interface Calibrated {
  readonly bytes: Uint8Array;
  readonly fraction: number;
  readonly pictures: number;
}

export interface Compiled {
  readonly module: Uint8Array;
  readonly seconds: number;
  readonly race: Race | undefined;
}

/** A picture that is shown: of the user's files, or generated. */
export interface ShownPicture {
  readonly name: string;
  readonly pixels: Pixels;
}

/** What a network is tried on as long as nobody gives pictures. */
export const GENERATED: PictureSource = { kind: "generated", count: 64 };

export const model = signal<Model | undefined>(undefined);
export const opening = signal<Work>(idle);
export const openInputs = signal<readonly OpenInput[]>([]);
export const network = signal<NetworkSummary | undefined>(undefined);
export const settings = signal<Settings>(startSettings(1));
export const maker = signal<Maker>("sliders");
export const variant = signal<VariantSummary | undefined>(undefined);
/** Counts the variants, so that what was computed of one is not shown for another. */
export const version = signal(0);
/** Bytes of the variant's file; undefined while they are not known. */
export const fileBytes = signal<number | undefined>(undefined);
export const agreement = signal<Agreement | undefined>(undefined);
export const varying = signal<Work>(idle);
export const source = signal<PictureSource>(GENERATED);
export const pictures = signal<readonly ShownPicture[]>([]);
export const taking = signal<Work>(idle);
/** Whether the original was run on what networks are compared on. */
export const isAsked = signal(false);
export const compiled = signal<Compiled | undefined>(undefined);
export const compiling = signal<Work>(idle);
export const calibrated = signal<Calibrated | undefined>(undefined);
export const calibrating = signal<Work>(idle);
export const fraction = signal(0.5);

/** What was computed of a variant is not what the next one has. */
export function forgetFigures(): void {
  version.value += 1;
  fileBytes.value = agreement.value = compiled.value = undefined;
}
