/** What a process of cases is told: a case by its numbers, or a file. */
export type Task =
  | {
      readonly kind: "case";
      readonly seed: number;
      readonly index: number;
      /** Which models to damage: those made on the spot, or those of ../shared too. */
      readonly models: "own" | "all";
      /** The steps of the recipe that are taken; all where absent. */
      readonly kept?: readonly number[];
    }
  | { readonly kind: "file"; readonly file: string };

/** What it reports of each. */
export type Report =
  | { readonly kind: "passed"; readonly refusals: readonly string[]; readonly seconds: number }
  | Failure;

export interface Failure {
  readonly kind: "failed";
  /** The same for failures of the same cause, as far as can be told. */
  readonly signature: string;
  readonly problem: string;
}

/** Every twentieth case is about external data, in a folder of its own. */
export function isExternal(index: number): boolean {
  return index % 20 === 19;
}
