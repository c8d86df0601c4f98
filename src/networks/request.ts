import type { ModelImageDims } from "../data/preprocessing.js";

/** What an untrained network is built for. */
export interface NetworkRequest {
  readonly classes: number;
  readonly image: ModelImageDims;
  /** Of its initial weights. */
  readonly seed: number;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Up to this side, networks made for ImageNet would lose nearly all positions in their first layers. */
const LARGEST_SMALL_SIDE = 64;

/** Whether a network takes the form that the literature gives it for CIFAR-10: no early strides. */
export function hasSmallImages({ image }: NetworkRequest): boolean {
  const [, height, width] = image;
  return Math.max(height, width) <= LARGEST_SMALL_SIDE;
}
