import type { Node } from "../../graph/types.js";
import type { TypedBuilder } from "../../ops/inference/builder.js";
import { type Activation, activationAttributes, BLOCKED_DOMAIN } from "./runtime_operators.js";
import type { ValueForms } from "./value_forms.js";

/** What is added to the end of a convolution that is emitted already, in place of a pass over memory of its own. */
export class Fusion {
  /** @param uses how often each value of the graph that is rewritten is read */
  constructor(
    private readonly b: TypedBuilder,
    private readonly forms: ValueForms,
    private readonly uses: ReadonlyMap<string, number>,
  ) {}

  /**
   * The node that computes the blocked form of `name`, if it is a convolution that nothing else reads and to
   * whose end something can still be added.
   */
  openConv(name: string): Node | undefined {
    if (this.uses.get(name) !== 1 || this.forms.plain(name) !== undefined) return undefined;
    const blocked = this.forms.blocked(name);
    const node = this.b.nodes.findLast((each) => blocked !== undefined && each.outputs.includes(blocked));
    const isConv = node?.op === "Conv" && node.domain === BLOCKED_DOMAIN;
    return isConv && !node.attributes.has("activation") ? node : undefined;
  }

  /** Puts a changed node in place of `node`, last, so that it may read whatever exists by now. */
  replaceLast(node: Node, changes: Partial<Pick<Node, "inputs" | "attributes">>): void {
    this.b.nodes.splice(this.b.nodes.indexOf(node), 1);
    this.b.nodes.push({ ...node, ...changes });
  }

  activate(node: Node, activation: Activation): void {
    this.replaceLast(node, {
      attributes: new Map([...node.attributes, ...Object.entries(activationAttributes(activation))]),
    });
  }
}
