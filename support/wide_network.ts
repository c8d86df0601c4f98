import { int } from "../src/graph/attributes.js";
import { float32Tensor } from "../src/graph/tensor.js";
import type { Graph } from "../src/graph/types.js";
import { conv, node, randomTensor, smallGraph } from "./small_models.js";

/** Of opset 17: convolutions 3 -> 96 -> 112 (stride 2) -> 112 (with bias), normalized, for images [batch, 3, 8, 8]; 5 classes. */
export function wideNetwork(batch: number): Graph {
  const normalized = (name: string, channels: number) => ({
    [`${name}_scale`]: float32Tensor([channels], new Float32Array(channels).fill(1)),
    [`${name}_shift`]: randomTensor([channels], 11),
    [`${name}_mean`]: float32Tensor([channels], new Float32Array(channels)),
    [`${name}_variance`]: float32Tensor([channels], new Float32Array(channels).fill(1)),
  });
  const unit = (name: string, input: string) => [
    node(
      "BatchNormalization",
      [input, `${name}_scale`, `${name}_shift`, `${name}_mean`, `${name}_variance`],
      name,
    ),
    node("Relu", [name], `${name}_relu`),
  ];
  return smallGraph(
    [batch, 3, 8, 8],
    [
      conv({ name: "c1", input: "x", weight: "w1", kernel: 3 }),
      ...unit("n1", "c1"),
      conv({ name: "c2", input: "n1_relu", weight: "w2", kernel: 3, stride: 2 }),
      ...unit("n2", "c2"),
      conv({ name: "c3", input: "n2_relu", weight: "w3", bias: "b3", kernel: 3 }),
      ...unit("n3", "c3"),
      node("GlobalAveragePool", ["n3_relu"], "pooled"),
      node("Flatten", ["pooled"], "flat", { axis: int(1) }),
      node("Gemm", ["flat", "wfc", "bfc"], "y", { transB: int(1) }),
    ],
    {
      w1: randomTensor([96, 3, 3, 3], 1),
      w2: randomTensor([112, 96, 3, 3], 2),
      w3: randomTensor([112, 112, 3, 3], 3),
      b3: randomTensor([112], 4),
      ...normalized("n1", 96),
      ...normalized("n2", 112),
      ...normalized("n3", 112),
      wfc: randomTensor([5, 112], 5),
      bfc: randomTensor([5], 6),
    },
  );
}
