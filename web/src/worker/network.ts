import exampleParts from "virtual:penni-example-parts";
import type { Graph } from "../../../src/graph/types.js";
import { shrink } from "../../../src/method/shrink.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { layersOnBases, sparsityPixels } from "../../../src/report/data/kernel_view.js";
import type { Network } from "../model/network.js";
import type { Sliders } from "../model/sliders.js";
import { slidersOf, summarize, summarizeVariant } from "../model/views.js";
import { compileNetwork, forRuntime, pageOf, type Written, writeVariant } from "../model/written.js";
import type { NetworkCalls } from "./network_calls.js";
import { openModel } from "./read_file.js";
import { serve } from "./rpc.js";

/** The network that is open, and what has become of it. */
interface Workbench {
  readonly name: string;
  readonly network: Network;
  readonly sliders: Sliders;
  current: Graph;
  written: Promise<Written> | undefined;
}

let bench: Workbench | undefined;

function opened(): Workbench {
  if (bench === undefined) throw new Error("no network is open");
  return bench;
}

function take(graph: Graph): void {
  Object.assign(opened(), { current: graph, written: undefined });
}

function written(): Promise<Written> {
  const on = opened();
  on.written ??= writeVariant(on.network, on.current);
  return on.written;
}

serve<NetworkCalls>({
  async open(model, report) {
    bench = undefined;
    const found = await openModel(model, report);
    if (found.kind === "open sizes") return found;
    const { network } = found;
    const { name } = model;
    report({ text: "Counting and looking at kernels", share: undefined });
    const sliders = slidersOf(network);
    const summary = summarize(name, network, sliders);
    bench = {
      name: name.replace(/\.onnx$/i, ""),
      network,
      sliders,
      current: network.graph,
      written: undefined,
    };
    return { kind: "network", summary };
  },
  vary(settings) {
    take(opened().sliders.graphOf(settings));
    return summarizeVariant(opened().current);
  },
  adopt(bytes) {
    take(shrink(decodeModel(bytes)));
    return summarizeVariant(opened().current);
  },
  async write() {
    const { graph, sparse } = await written();
    return { bytes: sparse.byteLength, plain: forRuntime(graph) };
  },
  plainOriginal: () => forRuntime(opened().network.graph),
  file: async () => (await written()).sparse,
  async compile() {
    const { name, network } = opened();
    const { graph } = await written();
    const started = performance.now();
    const { module, summary } = compileNetwork(name, network, graph);
    const seconds = (performance.now() - started) / 1000;
    return { module, seconds, macs: summary.multiplyAccumulates };
  },
  async page() {
    const { name, network } = opened();
    return pageOf(name, network, (await written()).graph, exampleParts);
  },
  coefficients({ layer }) {
    const found = layersOnBases(opened().current).find(({ view }) => view.name === layer);
    return found === undefined ? undefined : sparsityPixels(found);
  },
});
