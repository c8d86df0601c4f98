import type { Graph } from "./types.js";

/**
 * The function, which remembers what it made of the graph that it was given last, as long as that graph is in use:
 * graphs never change, and many steps in a row look at the same one.
 */
export function ofLatest<Result extends object>(make: (graph: Graph) => Result): (graph: Graph) => Result {
  let latest = new WeakMap<Graph, Result>();
  return (graph) => {
    const known = latest.get(graph);
    if (known !== undefined) return known;
    // What was remembered goes first: the two together may be more than there is room for.
    latest = new WeakMap();
    const result = make(graph);
    latest.set(graph, result);
    return result;
  };
}
