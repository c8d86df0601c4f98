import { int, text } from "../../../src/graph/attributes.js";
import type { Attribute } from "../../../src/graph/types.js";
import { type CaseInput, type ContractCase, networkCase, omitted, random, weight } from "../contract_case.js";

const [STEPS, BATCH, WIDTH, HIDDEN] = [4, 2, 5, 3];

interface RecurrentOptions {
  readonly directions?: number;
  readonly hasBias?: boolean;
  readonly hasStates?: boolean;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

function recurrent(op: "LSTM" | "GRU", name: string, options: RecurrentOptions): ContractCase {
  const { directions = 1, hasBias = true, hasStates = false, attributes = {} } = options;
  const gates = op === "LSTM" ? 4 : 3;
  const state = (): CaseInput => random([directions, BATCH, HIDDEN]);
  const states = Array.from({ length: op === "LSTM" ? 2 : 1 }, state);
  return networkCase(
    [
      {
        op,
        inputs: [
          random([STEPS, BATCH, WIDTH]),
          weight([directions, gates * HIDDEN, WIDTH]),
          weight([directions, gates * HIDDEN, HIDDEN]),
          hasBias ? weight([directions, 2 * gates * HIDDEN]) : omitted,
          omitted,
          ...(hasStates ? states : []),
        ],
        attributes: { hidden_size: int(HIDDEN), ...attributes },
        outputs: op === "LSTM" ? 3 : 2,
      },
    ],
    { name },
  );
}

const bidirectional = { directions: 2, attributes: { direction: text("bidirectional") } } as const;

export const recurrentCases: readonly ContractCase[] = (["LSTM", "GRU"] as const).flatMap((op) => [
  recurrent(op, "forward", { hasStates: true }),
  recurrent(op, "without bias", { hasBias: false }),
  recurrent(op, "reverse", { attributes: { direction: text("reverse") } }),
  recurrent(op, "bidirectional", { ...bidirectional, hasStates: true }),
  ...(op === "GRU"
    ? [recurrent(op, "reset behind the product", { attributes: { linear_before_reset: int(1) } })]
    : []),
]);
