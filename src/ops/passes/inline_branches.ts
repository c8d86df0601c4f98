import { at } from "../../graph/at.js";
import { freshNames, usedNames } from "../../graph/edit.js";
import { capturedNames } from "../../graph/links.js";
import { ofInput } from "../../graph/operands.js";
import { normalForm } from "../../graph/passes/normal_form.js";
import { topologicalSort } from "../../graph/passes/topological_sort.js";
import type { Branch, Graph, Node, Tensor, ValueInfo } from "../../graph/types.js";
import { namesRead } from "../../graph/verify.js";
import { knownNumbers } from "../core/rearrange.js";
import { ForwardInference } from "../inference/infer.js";
import { findOp } from "../inference/registry.js";

const isIf = ({ op, domain }: Node): boolean => op === "If" && (domain === "" || domain === "ai.onnx");

/**
 * Writes the branch that is taken in place of every If whose condition is known before the model runs: exporters leave
 * them behind where a shape decides. The others stay. The same object where nothing is known. One forward walk: what a
 * branch gives may decide the next condition, and so may what is outside decide one inside.
 */
export function inlineBranches(graph: Graph): Graph {
  if (!graph.nodes.some(isIf)) return graph;
  const walk = new BranchWalk(graph);
  for (const node of graph.nodes) walk.write(node);
  return walk.result();
}

class BranchWalk {
  private readonly nodes: Node[] = [];
  private readonly initializers: Map<string, Tensor>;
  private readonly valueInfo: Map<string, ValueInfo>;
  private readonly taken: Set<string>;
  private readonly fresh: (stem: string) => string;
  private readonly inference: ForwardInference;
  private isChanged = false;

  constructor(private readonly graph: Graph) {
    this.initializers = new Map(graph.initializers);
    this.valueInfo = new Map(graph.valueInfo);
    this.taken = usedNames(graph);
    this.fresh = freshNames(this.taken);
    // What is declared changes as branches are written.
    this.inference = new ForwardInference({ ...graph, valueInfo: this.valueInfo });
  }

  /** Adds a node, or what is in its place. */
  write(node: Node): void {
    const branch = isIf(node) ? this.takenBranch(node) : undefined;
    if (branch !== undefined) {
      this.writeBranch(node, branch);
      return;
    }
    this.nodes.push(node);
    this.inference.visit(node);
  }

  result(): Graph {
    if (!this.isChanged) return this.graph;
    const { nodes, initializers, valueInfo } = this;
    return topologicalSort(normalForm({ ...this.graph, nodes, initializers, valueInfo }));
  }

  /** The branch that is taken, its names such that it can be written here; undefined where none is known, or can be. */
  private takenBranch(node: Node): Branch | undefined {
    const condition = knownNumbers(ofInput(this.inference.values, node, 0))?.[0];
    const branch = condition === undefined ? undefined : branchOf(node, condition !== 0);
    const names = branch === undefined ? undefined : namesFor(branch, node, this.taken, this.fresh);
    return branch === undefined || names === undefined ? undefined : renamed(branch, names);
  }

  private writeBranch(node: Node, { nodes, initializers, valueInfo, outputs }: Branch): void {
    this.isChanged = true;
    // Exporters declare what the other branch would give.
    for (const output of node.outputs) this.valueInfo.delete(output);
    for (const [name, tensor] of initializers) {
      this.initializers.set(name, tensor);
      this.inference.define(name, tensor);
    }
    for (const info of valueInfo) this.valueInfo.set(info.name, info);
    for (const inner of inOrder(nodes, this.graph)) this.write(inner);
    for (const inner of passedOn(node, outputs)) this.write(inner);
  }
}

/** The nodes of a branch, each behind those that it reads from. */
function inOrder(nodes: readonly Node[], { opsets }: Graph): readonly Node[] {
  const defined = new Set(nodes.flatMap(({ outputs }) => outputs));
  const outside = new Set(nodes.flatMap(namesRead).filter((name) => !defined.has(name)));
  const inputs = [...outside].map((name): ValueInfo => ({ name, type: undefined }));
  const none = { name: "", outputs: [], initializers: new Map(), valueInfo: new Map(), metadata: new Map() };
  return topologicalSort({ ...none, opsets, inputs, nodes }).nodes;
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
            inputs: [at(results, index)],
            outputs: [output],
            attributes: new Map(),
          },
        ],
  );
}
