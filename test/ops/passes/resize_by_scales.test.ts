import assert from "node:assert/strict";
import { test } from "node:test";
import { runGraph } from "../../../src/execute/node.js";
import { int, text } from "../../../src/graph/attributes.js";
import type { Attribute, Dim, Graph } from "../../../src/graph/types.js";
import { simplify } from "../../../src/ops/passes/simplify.js";
import { Network } from "../../../support/network.js";

type Attributes = Readonly<Record<string, Attribute>>;

/** x [batch, 2, height, width] resized to sizes that begin with its own batch and channels, read from its Shape. */
function resized(
  input: readonly [Dim, Dim],
  output: readonly [number, number],
  attributes: Attributes,
): { readonly net: Network; readonly graph: Graph } {
  const [height, width] = input;
  const dims = [2, Number(height), Number(width)];
  const net = new Network(1, dims, 13, ["batch", 2, height, width]);
  const lead = net.op("Slice", [net.op("Shape", ["x"]), net.b.axes([0]), net.b.axes([2]), net.b.axes([0])]);
  const sizes = net.op("Concat", [lead, net.b.axes(output)], { axis: int(0) });
  return { net, graph: net.graph([net.op("Resize", ["x", "", "", sizes], attributes)]) };
}

const opsOf = (graph: Graph): readonly string[] => graph.nodes.map((node) => node.op);

const modes: readonly Attributes[] = [
  { mode: text("nearest"), coordinate_transformation_mode: text("asymmetric"), nearest_mode: text("floor") },
  { mode: text("nearest") },
  { mode: text("linear"), coordinate_transformation_mode: text("align_corners") },
  { mode: text("linear"), coordinate_transformation_mode: text("pytorch_half_pixel") },
  { mode: text("cubic"), coordinate_transformation_mode: text("half_pixel") },
];

test("Resize to sizes becomes Resize by scales, with the same bits", async () => {
  let rewritten = 0;
  for (const [at, attributes] of modes.entries()) {
    for (const [height, width, rows, columns] of [
      [3, 5, 7, 12],
      [4, 4, 8, 8],
      [9, 7, 3, 4],
      [1, 1, 5, 6],
      [7, 11, 10, 3],
    ] as const) {
      const { net, graph } = resized([height, width], [rows, columns], attributes);
      const simple = simplify(graph, { verify: true });
      if (opsOf(simple).length === 1) rewritten++;
      const feeds = net.feeds(2);
      const options = { optimization: "disabled", threads: 1 } as const;
      const want = await runGraph(graph, feeds, options);
      const got = await runGraph(simple, feeds, options);
      assert.deepEqual([...got], [...want], `mode ${at}, ${height}x${width} to ${rows}x${columns}`);
    }
  }
  assert.equal(rewritten, 20, "all but 3 to 7, whose scale gives 6.9999998");
});

test("Resize stays where sizes are more than sizes, or the image's are not known", () => {
  const stays = ({ graph }: { readonly graph: Graph }): void =>
    assert.ok(opsOf(simplify(graph)).includes("Shape"));
  stays(resized(["height", 4], [8, 8], {}));
  stays(resized([4, 4], [8, 8], { coordinate_transformation_mode: text("tf_crop_and_resize") }));
});
