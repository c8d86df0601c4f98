import { elementCount, float32Tensor } from "../src/graph/tensor.js";
import type { Attribute, Tensor } from "../src/graph/types.js";

/** The language in which tests of operators say what a node is given: see `OpCase` and `ContractCase`. */
export type CaseInput =
  /** Fed random float32 values, differentiated. `away`: kinks from which the values keep 0.1 distance. */
  | {
      readonly kind: "random";
      readonly dims: readonly number[];
      readonly low: number;
      readonly high: number;
      readonly away: readonly number[];
    }
  /** Fed, the multiples of 0.1 in random order, differentiated: no two values are close. */
  | { readonly kind: "distinct"; readonly dims: readonly number[] }
  /** An initializer of random values; `zeros`: share of its elements that are 0. */
  | {
      readonly kind: "weight";
      readonly dims: readonly number[];
      readonly zeros: number;
      readonly low: number;
      readonly high: number;
    }
  /** An initializer. */
  | { readonly kind: "constant"; readonly tensor: Tensor }
  /** Fed, not differentiated. */
  | { readonly kind: "fed"; readonly tensor: Tensor }
  /** An output of an earlier node of the case. */
  | { readonly kind: "output"; readonly node: number; readonly output: number }
  | { readonly kind: "omitted" };

/** What a node is given that stands alone. */
export type OwnInput = Exclude<CaseInput, { readonly kind: "output" }>;

export const random = (
  dims: readonly number[],
  low = -2,
  high = 2,
  away: readonly number[] = [],
): OwnInput => ({ kind: "random", dims, low, high, away });
export const distinct = (dims: readonly number[]): OwnInput => ({ kind: "distinct", dims });
export const weight = (dims: readonly number[], zeros = 0, low = -1, high = 1): OwnInput => ({
  kind: "weight",
  dims,
  zeros,
  low,
  high,
});
export const constant = (tensor: Tensor): OwnInput => ({ kind: "constant", tensor });
export const fed = (tensor: Tensor): OwnInput => ({ kind: "fed", tensor });
export const outputOf = (node: number, output = 0): CaseInput => ({ kind: "output", node, output });
export const omitted: OwnInput = { kind: "omitted" };

/** A node of a case. */
export interface CaseNode<Input extends CaseInput = CaseInput> {
  readonly op: string;
  readonly inputs: readonly Input[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Number of outputs; default 1. */
  readonly outputs?: number;
}

/** Whether an input is part of the graph; all others but omitted ones are fed. */
export const isConstant = ({ kind }: CaseInput): boolean => kind === "constant" || kind === "weight";

/** Whether gradients are taken with respect to an input. */
export const isDifferentiated = ({ kind }: CaseInput): boolean => kind === "random" || kind === "distinct";

/** A seed for the random numbers of a case, from its name. */
export function seedOf(text: string): number {
  return [...text].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619), 2166136261);
}

/** The values of an input; undefined where it has none of its own. @param next gives random numbers in [0, 1) */
export function sampleInput(input: CaseInput, next: () => number): Tensor | undefined {
  switch (input.kind) {
    case "omitted":
    case "output":
      return undefined;
    case "constant":
    case "fed":
      return input.tensor;
    case "distinct":
      return float32Tensor(input.dims, shuffledGrid(elementCount(input.dims), next));
    case "weight": {
      const { dims, zeros } = input;
      return sampled(dims, () => (next() < zeros ? 0 : between(input, next)));
    }
    case "random": {
      const draw = (): number => {
        const value = between(input, next);
        return input.away.some((kink) => Math.abs(value - kink) < 0.1) ? draw() : value;
      };
      return sampled(input.dims, draw);
    }
  }
}

function between({ low, high }: { readonly low: number; readonly high: number }, next: () => number): number {
  return low + (high - low) * next();
}

function sampled(dims: readonly number[], draw: () => number): Tensor {
  return float32Tensor(dims, Array.from({ length: elementCount(dims) }, draw));
}

function shuffledGrid(count: number, next: () => number): number[] {
  const keyed = Array.from({ length: count }, (_, index) => ({
    key: next(),
    value: 0.1 * (index - count / 2),
  }));
  return keyed.sort((a, b) => a.key - b.key).map(({ value }) => value);
}
