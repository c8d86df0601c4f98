import { freshNames, usedNames } from "../../graph/edit.js";
import { capturedNames } from "../../graph/links.js";
import { normalForm } from "../../graph/passes/normal_form.js";
import { topologicalSort } from "../../graph/passes/topological_sort.js";
import type { Branch, Graph, Node, Tensor, ValueInfo } from "../../graph/types.js";
import { inferGraph } from "../infer.js";
import { knownNumbers } from "../rearrange.js";
import { findOp } from "../registry.js";

const isIf = ({ op, domain }: Node): boolean => op === "If" && (domain === "" || domain === "ai.onnx");

/** Nested conditions take one round for each level; deeper ones stay. */
const MOST_ROUNDS = 100;

/**
 * Writes the branch that is taken in place of every If whose condition is known before the model runs: exporters leave
 * them behind where a shape decides. The others stay. The same object where nothing is known.
 */
export function inlineBranches(graph: Graph): Graph {
  let current = graph;
  for (let round = 0; round < MOST_ROUNDS && current.nodes.some(isIf); round++) {
    const next = inlineKnown(current);
    if (next === current) return current;
    current = next;
  }
  return current;
}

function inlineKnown(graph: Graph): Graph {
  const { values } = inferGraph(graph);
  const taken = usedNames(graph);
  const fresh = freshNames(taken);
  const initializers = new Map(graph.initializers);
  const valueInfo = new Map(graph.valueInfo);
  let isChanged = false;
  const nodes = graph.nodes.flatMap((node) => {
    const [condition] = isIf(node) ? (knownNumbers(values.get(node.inputs[0] ?? "")) ?? []) : [];
    const branch = condition === undefined ? undefined : branchOf(node, condition !== 0);
    const names = branch === undefined ? undefined : namesFor(branch, node, taken, fresh);
    if (branch === undefined || names === undefined) return [node];
    isChanged = true;
    // Exporters declare what the other branch would give.
    for (const output of node.outputs) valueInfo.delete(output);
    const written = renamed(branch, names);
    for (const [name, tensor] of written.initializers) initializers.set(name, tensor);
    for (const info of written.valueInfo) valueInfo.set(info.name, info);
    return [...written.nodes, ...passedOn(node, written.outputs)];
  });
  return isChanged ? topologicalSort(normalForm({ ...graph, nodes, initializers, valueInfo })) : graph;
}

function branchOf(node: Node, condition: boolean): Branch | undefined {
  const attribute = node.attributes.get(condition ? "then_branch" : "else_branch");
  const branch = attribute?.kind === "opaque" ? attribute.branch : undefined;
  return branch?.outputs.length === node.outputs.length ? branch : undefined;
}

/**
 * New names for what a branch defines: its own are no others' in its scope only. What a subgraph inside it reads keeps
 * its name, as subgraphs are not rewritten; undefined where that name has another meaning outside.
 */
function namesFor(
  branch: Branch,
  node: Node,
  taken: Set<string>,
  fresh: (stem: string) => string,
): ReadonlyMap<string, string> | undefined {
  const fixed = new Set(branch.nodes.flatMap(capturedNames));
  const defined = [...branch.initializers.keys(), ...branch.nodes.flatMap(({ outputs }) => outputs)];
  if (defined.some((name) => fixed.has(name) && taken.has(name))) return undefined;
  const prefix = node.name === "" ? node.op : node.name;
  const names = new Map<string, string>();
  for (const name of defined) {
    if (name === "") continue;
    if (fixed.has(name)) taken.add(name);
    names.set(name, fixed.has(name) ? name : fresh(`${prefix}/${name}`));
  }
  return names;
}

function renamed(branch: Branch, names: ReadonlyMap<string, string>): Branch {
  const rename = (name: string): string => names.get(name) ?? name;
  // Shapes are inferred where they can be: what the file says of them held for another batch, perhaps.
  const unknown = branch.nodes.filter((node) => findOp(node) === undefined);
  const undescribed = new Set(unknown.flatMap(({ outputs }) => outputs));
  return {
    nodes: branch.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    })),
    initializers: new Map(
      [...branch.initializers].map(([name, each]): [string, Tensor] => [rename(name), each]),
    ),
    valueInfo: branch.valueInfo
      .filter(({ name }) => undescribed.has(name))
      .map(({ name, type }): ValueInfo => ({ name: rename(name), type })),
    outputs: branch.outputs.map(rename),
  };
}

/** A branch may give a value of the graph around it, or one value twice. */
function passedOn(node: Node, results: readonly string[]): readonly Node[] {
  return node.outputs.flatMap((output, index) =>
    output === ""
      ? []
      : [
          {
            name: "",
            op: "Identity",
            domain: "",
            inputs: [results[index] ?? ""],
            outputs: [output],
            attributes: new Map(),
          },
        ],
  );
}
