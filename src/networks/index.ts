import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { elementCount } from "../graph/tensor.js";
import type { Graph } from "../graph/types.js";
import { inferGraph } from "../ops/inference/infer.js";
import { alexnet } from "./alexnet.js";
import { mobilenetV2 } from "./mobilenet_v2.js";
import type { NetworkName } from "./names.js";
import type { NetworkRequest } from "./request.js";
import { resnet, smallResnet } from "./residual.js";
import { vgg16 } from "./vgg.js";

export { type NetworkName, networkNames } from "./names.js";
export type { NetworkRequest } from "./request.js";

interface Family {
  readonly build: (request: NetworkRequest) => Graph;
  /** The smallest side of an image, in pixels, that leaves something for every layer to see. */
  readonly smallestSide: number;
}

const families: Readonly<Record<NetworkName, Family>> = {
  resnet18: { build: resnet("resnet18", [2, 2, 2, 2], "basic"), smallestSide: 8 },
  resnet20: { build: smallResnet("resnet20", 3), smallestSide: 4 },
  resnet56: { build: smallResnet("resnet56", 9), smallestSide: 4 },
  vgg16: { build: vgg16, smallestSide: 32 },
  alexnet: { build: alexnet, smallestSide: 8 },
  resnet50: { build: resnet("resnet50", [3, 4, 6, 3], "bottleneck"), smallestSide: 8 },
  mobilenet_v2: { build: mobilenetV2, smallestSide: 8 },
};

/**
 * An untrained network: float32 images [N, channels, height, width] -> logits [N, classes], weights drawn as usual (He et
 * al. 2015). Where the literature gives it another form for small images (up to 64 pixels), it has that form then.
 * @throws PenniError "bad-option" if the images are too small for it, or it would be too large to be trained
 */
export function newNetwork(name: NetworkName, request: NetworkRequest): Graph {
  const { build, smallestSide } = families[name];
  const [, height, width] = request.image;
  if (Math.min(height, width) < smallestSide) {
    throw new PenniError("bad-option", `the images are too small for ${name}`, {
      expected: `at least ${smallestSide}x${smallestSide} pixels`,
      found: `${width}x${height}`,
    });
  }
  const graph = build(request);
  checkTrainable(name, graph, request);
  return graph;
}

/** 2 GiB: training keeps all values of an image, and takes several images at once. */
const MOST_VALUES = 2 ** 29;

function checkTrainable(name: string, graph: Graph, { image: [, height, width] }: NetworkRequest): void {
  const { types } = inferGraph(fixBatch(graph, 1));
  const values = graph.nodes
    .flatMap(({ outputs }) => outputs)
    .reduce((sum, output) => {
      const shape = present(types.get(output)?.shape, `the shape of "${output}"`);
      return sum + elementCount(shape.filter((dim) => typeof dim === "number"));
    }, 0);
  if (values <= MOST_VALUES) return;
  const gib = (4 * values) / 2 ** 30;
  throw new PenniError("bad-option", `the images are too large for ${name}: it could not be trained`, {
    expected: `at most ${(4 * MOST_VALUES) / 2 ** 30} GiB of values for one image`,
    found: `${gib.toFixed(1)} GiB for ${width}x${height} pixels`,
    advice: "Choose smaller images, to which pictures are scaled down",
  });
}
