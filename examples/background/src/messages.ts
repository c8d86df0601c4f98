import type { ClassScore, ImageLike } from "penni/runtime";

/** What the page asks of the worker. */
export interface Question {
  readonly id: number;
  readonly image: ImageLike;
}

/** What the worker answers to the question with this number. */
export type Answer =
  | { readonly id: number; readonly scores: readonly ClassScore[] }
  | { readonly id: number; readonly problem: string };
