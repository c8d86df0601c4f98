import type { InspectedLayer } from "../method/inspect.js";
import { type KindShare, kindShares, type LayerKind } from "../method/layer_kinds.js";

/** What layers of a kind are, for one and for several, and what becomes of them. */
const kinds: Readonly<
  Record<LayerKind, { readonly is: string; readonly are: string; readonly outcome: string }>
> = {
  kernels: {
    is: "has kernels that can share a basis",
    are: "have kernels that can share a basis",
    outcome: "fewer kernels, and coefficients are removed",
  },
  weights: {
    is: "has no kernels to share",
    are: "have no kernels to share",
    outcome: "single weights are removed, which saves time only once compiled (penni compile)",
  },
  fixed: { is: "stays as it is", are: "stay as they are", outcome: "" },
};

const order: readonly LayerKind[] = ["kernels", "weights", "fixed"];

/** Below this share of the multiply-accumulates, layers with kernels to share cannot make a network much cheaper. */
const LITTLE = 0.25;

/** What can be expected of a network: how much of its arithmetic lies in layers of each kind. */
export function describeExpectation(layers: readonly InspectedLayer[]): readonly string[] {
  const shares = kindShares(layers);
  if (order.every((kind) => shares[kind].layers === 0)) return [];
  const lines = order.flatMap((kind) => describeKind(kind, shares[kind]));
  const { kernels, weights } = shares;
  const warning =
    kernels.share >= LITTLE || weights.share < kernels.share
      ? []
      : ["Most of this network's arithmetic is in layers without kernels to share: expect less than usual."];
  return [["What to expect:", ...lines, ...warning].join("\n")];
}

function describeKind(kind: LayerKind, { layers, share }: KindShare): readonly string[] {
  if (layers === 0) return [];
  const { is, are, outcome } = kinds[kind];
  const who = layers === 1 ? `1 layer ${is}` : `${layers} layers ${are}`;
  const end = outcome === "" ? "" : `: ${outcome}`;
  return [`- ${(100 * share).toFixed(1)} % of the MACs: ${who}${end}`];
}
