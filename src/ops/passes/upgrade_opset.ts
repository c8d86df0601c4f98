import { freshNames, usedNames, withInitializers } from "../../graph/edit.js";
import { PenniError } from "../../graph/errors.js";
import { innerNodes, linkGraph } from "../../graph/links.js";
import type { Graph, InnerNode, Node, Tensor } from "../../graph/types.js";
import { standardOpset } from "../core/definition.js";
import { inferGraph } from "../inference/infer.js";
import { type UpgradeContext, type UpgradeRule, upgradeRules } from "./upgrade_rules.js";

/** The version of the standard operator set that everything behind the first step is written for. */
export const TARGET_OPSET = 13;
/** Broadcasting, BatchNormalization and Dropout had other forms before. */
const OLDEST_OPSET = 7;

const STANDARD_DOMAINS: readonly string[] = ["", "ai.onnx"];

/**
 * Brings a model of standard operator set 7 to 12 to 13, node by node, exactly: the outputs are bit-identical in
 * ONNX Runtime and keep their names. Operators whose form did not change pass through, as do other domains.
 * A model of version 13 or later is returned as it is (the same object).
 * Subgraphs stay as they are.
 * @throws PenniError "unsupported" naming the node that cannot be upgraded (forms that version 13 lacks; a subgraph
 *   with an operator whose form changed), or if the model is older than version 7
 */
export function upgradeOpset(graph: Graph): Graph {
  const usesStandard = STANDARD_DOMAINS.some((domain) => graph.opsets.has(domain));
  const opset = standardOpset(graph);
  if (!usesStandard || opset >= TARGET_OPSET) return graph;
  if (opset < OLDEST_OPSET) throw tooOld(opset);

  const added = new Map<string, Tensor>();
  const context = upgradeContext(graph, opset, added);
  const nodes = graph.nodes.flatMap((node) => upgradeNode(node, context));
  const opsets = [...graph.opsets].map(
    ([domain, version]) => [domain, STANDARD_DOMAINS.includes(domain) ? TARGET_OPSET : version] as const,
  );
  return withInitializers({ ...graph, opsets: new Map(opsets), nodes }, added);
}

function tooOld(opset: number): PenniError {
  return new PenniError("unsupported", "the model's operator set is too old", {
    expected: `opset ${OLDEST_OPSET} or later`,
    found: `opset ${opset}`,
    advice: "Export the model with opset 13 or later",
  });
}

function upgradeContext(graph: Graph, opset: number, added: Map<string, Tensor>): UpgradeContext {
  const { types, values } = inferGraph(graph);
  const { readers, outputNames } = linkGraph(graph);
  const freshName = freshNames(usedNames(graph));
  return {
    opset,
    freshName,
    type: (name) => types.get(name),
    value: (name) => values.get(name),
    isRead: (name) => readers.has(name) || outputNames.has(name),
    constant: (stem, tensor) => {
      const name = freshName(stem);
      added.set(name, tensor);
      return name;
    },
  };
}

function upgradeNode(node: Node, context: UpgradeContext): readonly Node[] {
  checkSubgraphs(node, context);
  const rule = ruleFor(node, context);
  return rule === undefined ? [node] : rule.rewrite(node, context);
}

/** The rule for a standard operator that had another form in the model's operator set. */
function ruleFor({ op, domain }: InnerNode, { opset }: UpgradeContext): UpgradeRule | undefined {
  const rule = STANDARD_DOMAINS.includes(domain) ? upgradeRules.get(op) : undefined;
  return rule === undefined || opset >= rule.changedIn ? undefined : rule;
}

/** Subgraphs are left as they are, so what is in them must mean the same in the later operator set. */
function checkSubgraphs(node: Node, context: UpgradeContext): void {
  const changed = innerNodes(node).find((inner) => ruleFor(inner, context) !== undefined);
  if (changed === undefined) return;
  throw new PenniError("unsupported", "a subgraph cannot be brought to a later operator set", {
    node: node.name,
    op: node.op,
    expected: "a model of opset 13 or later",
    found: `opset ${context.opset}, with "${changed.name}" (${changed.op}) inside`,
    advice: "Export the model with opset 13 or later",
  });
}
