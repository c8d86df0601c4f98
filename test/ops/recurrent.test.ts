import { int, text } from "../../src/graph/attributes.js";
import { elementCount, float32Tensor } from "../../src/graph/tensor.js";
import { constant, fed, type OwnInput, testOps } from "../../support/opcase.js";

const numbers = (dims: readonly number[]) =>
  float32Tensor(
    dims,
    Array.from({ length: elementCount(dims) }, (_, at) => Math.sin(at)),
  );
const inputs = (directions: number, gates: number): readonly OwnInput[] => [
  fed(numbers([4, 2, 5])),
  constant(numbers([directions, gates * 3, 5])),
  constant(numbers([directions, gates * 3, 3])),
];

testOps([
  { op: "LSTM", inputs: inputs(1, 4), attributes: { hidden_size: int(3) }, outputs: 3 },
  {
    op: "LSTM",
    name: "bidirectional",
    inputs: inputs(2, 4),
    attributes: { hidden_size: int(3), direction: text("bidirectional") },
    outputs: 3,
  },
  { op: "GRU", inputs: inputs(1, 3), attributes: { hidden_size: int(3) }, outputs: 2 },
]);
