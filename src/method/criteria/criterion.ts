import type { z } from "zod";
import { at } from "../../graph/at.js";
import type { Graph } from "../../graph/types.js";
import type { PrunableNetwork } from "./network.js";

/** A rule as it stands in `config.json`: its name, and what the rule needs to know. */
type RuleSchema = z.ZodObject<{ readonly rule: z.ZodLiteral<string> }>;

/** How a rule is asked for on the command line. */
export interface CriterionOption<Rule> {
  /** "--deviations <x>" */
  readonly flags: string;
  readonly description: string;
  /** Undefined for a text that is none of `expected`. */
  readonly parse: (text: string) => Rule | undefined;
  /** "a number from 0 to 100" */
  readonly expected: string;
}

/** What decides which coefficients go, in all respects: everything that a run asks about its rule is answered here. */
interface CriterionDefinition<Rule, Schema> {
  readonly schema: Schema;
  readonly option: CriterionOption<Rule>;
  /** The network with zeros for what goes; frozen weights stay, and no layer costs more than it did originally. */
  readonly apply: (network: PrunableNetwork, rule: Rule) => Graph;
  /**
   * Throws PenniError "bad-option" for what pruning cannot lead to, whatever values coefficients have; undefined where
   * everything that the schema admits can be reached.
   */
  readonly checkReachable: ((network: PrunableNetwork, rule: Rule) => void) | undefined;
  /** What goes, as a clause: "coefficients below 1 standard deviations of their layer go". */
  readonly describe: (rule: Rule) => string;
  /**
   * The multiply-accumulates that the rule leaves, as a fraction of the original's (paper count), where it says so itself:
   * what a calibrated start is made for, and where gradual pruning ends. Otherwise undefined: a calibrated start then
   * keeps every coefficient, and there is no gradual pruning.
   */
  readonly fraction: (rule: Rule) => number | undefined;
  /**
   * Whether the zeros are a pattern of places. Then channels stay where they are from pruning on, and layers are
   * written with their coefficients: what is moved or multiplied out would lose the pattern.
   */
  readonly fixesPlaces: boolean;
}

export type Criterion<Schema extends RuleSchema = RuleSchema> = CriterionDefinition<z.infer<Schema>, Schema>;

/** What is asked about a rule, whichever it is. */
export interface AppliedCriterion {
  apply(network: PrunableNetwork): Graph;
  checkReachable: ((network: PrunableNetwork) => void) | undefined;
  readonly description: string;
  readonly fraction: number | undefined;
  readonly fixesPlaces: boolean;
  /** The option that asks for it, "--deviations". */
  readonly option: string;
}

/** A criterion together with what binds it to one of its rules. */
export interface NamedCriterion<Schema extends RuleSchema> {
  readonly name: string;
  readonly schema: Schema;
  readonly option: CriterionOption<z.infer<Schema>>;
  readonly of: (rule: unknown) => AppliedCriterion;
}

export function defineCriterion<Schema extends RuleSchema>(
  criterion: Criterion<Schema>,
): NamedCriterion<Schema> {
  const { schema, option, apply, checkReachable, describe, fraction, fixesPlaces } = criterion;
  return {
    name: schema.shape.rule.value,
    schema,
    option,
    of: (given) => {
      const rule = schema.parse(given);
      return {
        apply: (network) => apply(network, rule),
        checkReachable: checkReachable === undefined ? undefined : (network) => checkReachable(network, rule),
        description: describe(rule),
        fraction: fraction(rule),
        fixesPlaces,
        option: at(option.flags.split(" "), 0),
      };
    },
  };
}
