import assert from "node:assert/strict";
import { test } from "node:test";
import { openDataset } from "../../src/data/open.js";
import { imagenetPreprocessing, type Preprocessing } from "../../src/data/preprocessing.js";
import { ints } from "../../src/graph/attributes.js";
import { withInitializers } from "../../src/graph/edit.js";
import { fixBatch } from "../../src/graph/passes/fix_input_shape.js";
import { float32Data, float32Tensor } from "../../src/graph/tensor.js";
import type { Graph, ValueType } from "../../src/graph/types.js";
import { findDecompositions } from "../../src/layers/weights.js";
import { NodeCalibration } from "../../src/measure/calibration.js";
import { countGraph } from "../../src/measure/count.js";
import { type Calibration, calibrate } from "../../src/method/calibrate.js";
import { decompose } from "../../src/method/decompose.js";
import { mergeDecompositions } from "../../src/method/merge_decompositions.js";
import { pruneToMacs } from "../../src/method/prune.js";
import { simplify } from "../../src/ops/passes/simplify.js";
import { Network } from "../../support/network.js";

const SIDE = 10;
/** More outputs than the analysis looks at. */
const WIDE = 80;

const split = await (await openDataset("synthetic:80", { imageSize: { width: SIDE, height: SIDE } })).train();

/** Calibrates a network from what its layers are as they come in. */
async function calibrated(
  network: Graph,
  fraction: number,
  preprocessing: Preprocessing = imagenetPreprocessing,
): Promise<Calibration> {
  const { graph, factors } = mergeDecompositions(network);
  const indices = Uint32Array.from({ length: Math.min(split.count, 40) }, (_, index) => index);
  const runtime = await NodeCalibration.open(graph, { split, indices, preprocessing, threads: 1 });
  try {
    return await calibrate(graph, runtime, { fraction, basis: "auto", factors });
  } finally {
    await runtime.release();
  }
}

const counted = (graph: Graph): ReturnType<typeof countGraph> => countGraph(fixBatch(graph, 1));

function wideNetwork(): Graph {
  const net = new Network(7, [3, SIDE, SIDE]);
  const stem = net.relu(net.norm(net.conv("x", 8, { pad: 1 })));
  const wide = net.relu(net.norm(net.conv(stem, WIDE, { pad: 1 })));
  const mixed = net.relu(net.norm(net.conv(wide, WIDE, { kernel: 1 })));
  return simplify(net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [mixed])]), 10)]));
}

/** Two thirds of the weights of every convolution are zero. */
function sparseNetwork(): Graph {
  const graph = wideNetwork();
  const sparse = [...graph.initializers]
    .filter(([, { dims }]) => dims.length === 4)
    .map(([name, tensor]) => {
      const values = float32Data(tensor).map((value, index) => ((index * 7919) % 3 === 0 ? value : 0));
      return [name, float32Tensor(tensor.dims, values)] as const;
    });
  return withInitializers(graph, sparse);
}

/** Decomposed, with zeros among the coefficients. */
function decomposedNetwork(): Graph {
  const graph = wideNetwork();
  const whole = decompose(graph, { basis: 4 });
  const originalMacs = counted(graph).paperMacs;
  const pruned = pruneToMacs(fixBatch(whole, 1), { fraction: 0.3, originalMacs });
  return withInitializers(whole, [...pruned.graph.initializers]);
}

for (const [name, build] of Object.entries({ sparse: sparseNetwork, decomposed: decomposedNetwork })) {
  test(`wide layers that come in ${name}: a share of what they have, and larger in no column`, async () => {
    const network = build();
    const before = counted(network);
    for (const fraction of [0.6, 0.9]) {
      const { graph } = await calibrated(network, fraction);
      const after = counted(graph);
      const share = after.paperMacs / before.paperMacs;
      assert.ok(share <= fraction + 1e-9 && share > fraction - 0.06, `${share} for ${fraction}`);
      assert.ok(after.parameters <= before.parameters, `${after.parameters} of ${before.parameters}`);
    }
  });

  test(`wide layers that come in ${name}: where nothing has to go, all stays`, async () => {
    const network = build();
    const { graph } = await calibrated(network, 1);
    assert.equal(counted(graph).paperMacs, counted(network).paperMacs);
    assert.equal(counted(graph).parameters, counted(network).parameters);
    const sizes = (of: Graph): readonly number[] => findDecompositions(of).map(({ d }) => d);
    assert.deepEqual(sizes(graph), sizes(network));
  });
}

/** An operator that the runtime has and Penni does not, in place of each Relu, with the shapes that the file states. */
function withUnknownOperators(graph: Graph, op: string, types: ReadonlyMap<string, ValueType>): Graph {
  const bent = graph.nodes.filter(({ op }) => op === "Relu").map(({ outputs }) => outputs[0] ?? "");
  return {
    ...graph,
    nodes: graph.nodes.map((node) => (node.op === "Relu" ? { ...node, op } : node)),
    valueInfo: new Map(bent.map((name) => [name, { name, type: types.get(name) }])),
  };
}

function bentNetwork(op: string): Graph {
  const net = new Network(8, [3, SIDE, SIDE]);
  const bent = net.relu(net.norm(net.conv("x", 12, { pad: 1 })));
  const again = net.relu(net.norm(net.conv(bent, 16, { pad: 1 })));
  const summed = net.op("Add", [net.conv(again, 12, { pad: 1 }), bent]);
  const graph = net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [summed])]), 10)]);
  return simplify(withUnknownOperators(graph, op, net.b.types));
}

test("layers behind operators that Penni does not know are calibrated, in both networks", async () => {
  const graph = bentNetwork("Asinh");
  assert.ok(graph.nodes.some(({ op }) => op === "Asinh"));
  const { graph: result } = await calibrated(graph, 0.6);
  const share = counted(result).paperMacs / counted(graph).paperMacs;
  assert.ok(share <= 0.6 && share > 0.5, `${share}`);
});

test("values that overflow are said, with the layer", async () => {
  await assert.rejects(calibrated(bentNetwork("Sinh"), 0.6), {
    code: "bad-data",
    message: /"[^"]+".*not finite/s,
  });
});

test("images go into a network as it takes them: NHWC, on a plane that is not square", async () => {
  const height = SIDE + 3;
  const data = await openDataset("synthetic:60", { imageSize: { width: SIDE, height } });
  const images = await data.train();
  const net = new Network(9, [height, SIDE, 3]);
  const planes = net.op("Transpose", ["x"], { perm: ints([0, 3, 1, 2]) });
  const stem = net.relu(net.norm(net.conv(planes, 12, { pad: 1 })));
  const next = net.relu(net.norm(net.conv(stem, 16, { pad: 1 })));
  const graph = simplify(net.graph([net.gemm(net.op("Flatten", [net.op("GlobalAveragePool", [next])]), 10)]));
  const runtime = await NodeCalibration.open(graph, {
    split: images,
    indices: Uint32Array.from({ length: 30 }, (_, index) => index),
    preprocessing: { ...imagenetPreprocessing, layout: "NHWC" },
    threads: 1,
  });
  try {
    const { graph: result } = await calibrate(graph, runtime, { fraction: 0.6, basis: "auto" });
    assert.ok(counted(result).paperMacs <= 0.6 * counted(graph).paperMacs);
  } finally {
    await runtime.release();
  }
});
