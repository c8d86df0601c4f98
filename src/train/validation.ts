import type { Batch } from "../data/batches.js";
import type { Feeds } from "../execute/engine.js";
import { at } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { type OutputAgreement, OutputComparison } from "../measure/output_comparison.js";
import { type FedBatch, runEach } from "../measure/run_on_images.js";
import type { BatchValues } from "./batch_values.js";
import { PREDICTED } from "./evaluation.js";
import { comparedOutput } from "./outputs.js";
import type { Evaluation, Teacher } from "./sessions.js";
import type { TrainingState } from "./state.js";

/** What the present parameters make of images that are held out. */
export class Validation {
  constructor(
    private readonly evaluation: Evaluation,
    private readonly state: TrainingState,
    private readonly values: BatchValues,
    private readonly teacher: Teacher | undefined,
  ) {}

  /** Number of images whose class is predicted right. */
  async countHits(batches: AsyncIterable<Batch>): Promise<number> {
    let hits = 0;
    for await (const { results, labels, count } of this.evaluate(batches)) {
      const predicted = results[PREDICTED]?.data as BigInt64Array;
      for (let index = 0; index < count; index++) if (predicted[index] === labels?.[index]) hits += 1;
    }
    return hits;
  }

  /** How well the matched outputs agree with the original's. */
  async compareOutputs(batches: AsyncIterable<Batch>): Promise<readonly OutputAgreement[]> {
    const { teacher } = this;
    if (teacher === undefined) throw new PenniError("internal", "the plan has no original to compare with");
    const comparison = new OutputComparison(teacher.losses.map(comparedOutput));
    const names = teacher.losses.map(({ output }) => output);
    for await (const { images, results: second, size, count } of this.evaluate(batches)) {
      const first = await teacher.session.run({ [teacher.input]: this.values.imageTensor(images) }, names);
      comparison.add({ first, second, size, count });
    }
    return comparison.results;
  }

  private evaluate(batches: AsyncIterable<Batch>): AsyncIterable<Batch & { readonly results: Feeds }> {
    return runEach(this.evaluation.session, this.fed(batches));
  }

  private async *fed(batches: AsyncIterable<Batch>): AsyncGenerator<FedBatch, void, undefined> {
    const { inputs } = this.evaluation;
    const image = at(inputs, 0);
    for await (const batch of batches) {
      const state = await this.state.feeds(inputs.slice(1));
      yield { ...batch, feeds: { [image]: this.values.imageTensor(batch.images), ...state } };
    }
  }
}
