import { PenniError } from "../graph/errors.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import { plainRule } from "../method/defaults.js";
import { trainableParameters } from "../method/parameters.js";
import { buildTrainingStep, type Reference } from "../train/step.js";
import { hasTraining, type Settings } from "./config.js";
import { frozenIn } from "./frozen.js";

/**
 * The weights that cannot be trained on labels.
 * @throws PenniError "unsupported" naming a node without a gradient if that are all of them
 */
export function untrainedPart(graph: Graph, settings: Settings): ReadonlySet<string> {
  const { frozen, blockades, isTrainable } = frozenIn(graph, { settings });
  const [first] = blockades;
  if (first !== undefined && !isTrainable) throw first.reason;
  return frozen;
}

/**
 * Builds the training step once, if there is any training, so that what stands in its way is named before the run starts.
 * @param mayFreeze whether weights that no gradient reaches are left out, as long as others remain
 * @throws PenniError "unsupported" naming an operator without a gradient, or if there is nothing to train
 */
export function checkTrainable(
  decomposed: Graph,
  settings: Settings,
  reference: Reference,
  mayFreeze: boolean,
): void {
  if (!hasTraining(settings)) return;
  const network = fixBatch(decomposed, settings.batch);
  const found = frozenIn(decomposed, { settings, reference });
  const [blockade] = found.blockades;
  if (blockade !== undefined && !(mayFreeze && found.isTrainable)) throw blockade.reason;
  const names = [...trainableParameters(network).keys()].filter((name) => !found.frozen.has(name));
  const trained = new Map(names.map((name) => [name, plainRule]));
  const { parameters } = buildTrainingStep(network, new Set(trained.keys()), {
    trained,
    batchNormalization: "frozen",
    loss: settings.loss,
    reference,
    optimizer: settings.optimizer,
  });
  if (parameters.size > 0) return;
  throw new PenniError("unsupported", "no weight leads to what the loss compares");
}
