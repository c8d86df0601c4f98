import { at } from "../graph/at.js";

/** A kind of images, as `--data` names it. */
interface SourceForm {
  /** How it is written; the first one stands in help texts. */
  readonly forms: readonly [string, ...string[]];
  readonly note?: string;
  readonly hasLabels: boolean;
}

/** Everything that `--data` can name, in the order of help texts. How each is opened stands in `open.ts`. */
export const sources = {
  cifar10: { forms: ["cifar10:DIR"], hasLabels: true },
  cifar100: { forms: ["cifar100:DIR"], hasLabels: true },
  idx: { forms: ["idx:DIR"], note: "as MNIST", hasLabels: true },
  folder: { forms: ["folder:DIR"], hasLabels: true },
  images: { forms: ["images:DIR"], note: "no labels", hasLabels: false },
  synthetic: { forms: ["synthetic", "synthetic:COUNT"], hasLabels: true },
} as const satisfies Readonly<Record<string, SourceForm>>;

export type SourceName = keyof typeof sources;

/** "A, B or C" */
function choice(names: readonly string[]): string {
  const [last, ...others] = names.toReversed();
  return others.length === 0 ? `${last}` : `${others.toReversed().join(", ")} or ${last}`;
}

/** What `--data` takes, for help texts: "cifar10:DIR, idx:DIR (as MNIST) or synthetic". @param needsLabels of images with labels only */
export function sourcesText({ needsLabels = false } = {}): string {
  const wanted: readonly SourceForm[] = Object.values(sources);
  return choice(
    wanted
      .filter(({ hasLabels }) => hasLabels || !needsLabels)
      .map(({ forms: [form], note }) => (note === undefined ? form : `${form} (${note})`)),
  );
}

/** Every form of a specification, for errors. */
export const everyForm: string = choice(Object.values(sources).flatMap(({ forms }) => forms));

/** Whether a specification names images that are computed, whose classes have nothing to do with anybody's model. */
export function isSynthetic(spec: string): boolean {
  return spec === "synthetic" || spec.startsWith("synthetic:");
}

/** A specification of images that are files somewhere. */
export interface PlacedSpec {
  /** "folder:" and the like; empty where the folder stands alone. One letter before a colon is a drive. */
  readonly kind: string;
  readonly place: string;
}

/** Undefined of images that are computed. */
export function placedSpec(spec: string): PlacedSpec | undefined {
  if (isSynthetic(spec)) return undefined;
  const found = /^([a-z\d]{2,}:)(.+)$/s.exec(spec);
  return found === null ? { kind: "", place: spec } : { kind: at(found, 1), place: at(found, 2) };
}
