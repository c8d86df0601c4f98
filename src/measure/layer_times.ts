import { compileProgram } from "../compile/compile.js";
import type { Program } from "../compile/program.js";
import { backend } from "../compile/wasm/backend.js";
import { at, listOf, orDefault, outputOf } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { linkGraph } from "../graph/links.js";
import type { Graph } from "../graph/types.js";
import { BASIS_CONV } from "../layers/forms.js";
import { singleImage } from "./compiled_latency.js";
import { measureSteps } from "./step_times.js";

/** How long a run of a compiled network takes, and of it each node that is computed on its own. */
export interface LayerTimes {
  readonly wholeMs: number;
  readonly layers: readonly { readonly name: string; readonly ms: number }[];
}

/** For each network, or as much as some runs of it take. */
const MEASURING_MS = 1000;

/**
 * How long each layer takes of networks compiled to WebAssembly, one image on one thread; undefined if one of them cannot
 * be compiled.
 */
export async function measureLayerTimes(
  graphs: readonly Graph[],
  measuringMs = MEASURING_MS,
): Promise<readonly LayerTimes[] | undefined> {
  const programs = programsOf(graphs);
  if (programs === undefined) return undefined;
  const measured: LayerTimes[] = [];
  for (const [index, program] of programs.entries()) {
    const { steps, wholeMs } = await measureSteps(program, backend.execution, { measuringMs });
    const owners = basisOwners(at(graphs, index));
    const layers = new Map<string, number>();
    for (const { step, ms } of steps) {
      const name = orDefault(owners.get(step.node), step.node);
      layers.set(name, orDefault(layers.get(name), 0) + ms);
    }
    measured.push({ wholeMs, layers: Array.from(layers, ([name, ms]) => ({ name, ms })) });
  }
  return measured;
}

/** The layers that convolutions with a basis belong to, by the names of both: where a layer is written as two nodes. */
function basisOwners(graph: Graph): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  const { readers } = linkGraph(graph);
  for (const node of graph.nodes) {
    const { name } = node;
    if (!name.endsWith(BASIS_CONV)) continue;
    const output = outputOf(node, 0);
    const reader = listOf(readers, output).find(({ inputs }) => inputs[0] === output);
    if (reader !== undefined) owners.set(name, reader.name);
  }
  return owners;
}

function programsOf(graphs: readonly Graph[]): readonly Program[] | undefined {
  try {
    return graphs.map((graph) => compileProgram(singleImage(graph), backend.target));
  } catch (error) {
    if (error instanceof PenniError && (error.code === "unsupported" || error.code === "shape"))
      return undefined;
    throw error;
  }
}
