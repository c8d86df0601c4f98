import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Batch } from "../data/batches.js";
import type { ModelImageDims } from "../data/preprocessing.js";
import type { Provider } from "../execute/device.js";
import type { Feeds } from "../execute/engine.js";
import { entryOf, present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { DropoutFactors } from "./dropout.js";
import type { TrainingPlan } from "./plan.js";
import type { Teacher } from "./sessions.js";
import { stepNames, type TrainingStep } from "./step.js";

/** What a step tells about its batch, seen with the parameters before the step's update. */
export interface StepOutcome {
  /** Mean over the batch. */
  readonly loss: number;
  /** Images of the batch whose largest logit is the label's; 0 where the labels are no reference. */
  readonly hits: number;
}

/** What of a step depends on when it comes. */
export interface StepTiming {
  /** Learning rate. */
  readonly rate: number;
  /** Steps of the stage before this one. */
  readonly number: number;
}

/** What a step takes besides its state, made of a batch, and what it tells about the batch. */
export class BatchValues {
  private readonly dropout: DropoutFactors;

  /** @param input the network's, which takes the images */
  constructor(
    private readonly plan: TrainingPlan,
    private readonly input: string,
    private readonly imageDims: ModelImageDims,
    private readonly provider: Provider,
    private readonly teacher: Teacher | undefined,
  ) {
    const before = plan.part === undefined ? 0 : plan.part.epochsBefore;
    this.dropout = new DropoutFactors([plan.seed, before]);
  }

  async feeds(batch: Batch, step: TrainingStep, { rate, number }: StepTiming): Promise<Feeds> {
    const { teachers } = step;
    const images = this.imageTensor(batch.images);
    return {
      [this.input]: images,
      [stepNames.learningRate]: scalar(rate),
      [stepNames.l1Strength]: scalar(this.plan.l1Strength),
      ...this.labels(batch),
      ...this.droppedOut(step, number),
      ...(await this.taught(images, teachers)),
    };
  }

  /** What the numbers that a step tells are written into: memory of the host, or what the device's runtime allocates. */
  targets(): Readonly<Record<string, OrtTensor | null>> {
    const target = (): OrtTensor | null => (this.provider === "cpu" ? scalar(Number.NaN) : null);
    return { [stepNames.loss]: target(), ...(this.isLabelled ? { [stepNames.hits]: target() } : {}) };
  }

  outcome(results: Feeds): StepOutcome {
    return {
      loss: numberIn(results, stepNames.loss),
      hits: this.isLabelled ? numberIn(results, stepNames.hits) : 0,
    };
  }

  imageTensor(images: Float32Array): OrtTensor {
    return new OrtTensor("float32", images, [this.plan.batch, ...this.imageDims]);
  }

  /** What Dropout leaves out in a step, as feeds. */
  private droppedOut({ dropped }: TrainingStep, number: number): Feeds {
    const factors = this.dropout.draw(dropped, number);
    return Object.fromEntries(
      dropped.map(({ input, dims }) => [input, new OrtTensor("float32", entryOf(factors, input), [...dims])]),
    );
  }

  private get isLabelled(): boolean {
    return this.plan.reference !== "original";
  }

  /** The labels as a feed; nothing where they are no reference. */
  private labels({ labels }: Batch): Feeds {
    if (!this.isLabelled) return {};
    if (labels === undefined)
      throw new PenniError("internal", "the images of a labelled step have no labels");
    return { [stepNames.labels]: new OrtTensor("int64", labels, [this.plan.batch]) };
  }

  /** What the teacher makes of the images, as feeds of a step; nothing where there is no teacher. */
  private async taught(images: OrtTensor, inputs: TrainingStep["teachers"]): Promise<Feeds> {
    if (this.teacher === undefined) return {};
    const { session, input, values } = this.teacher;
    const known = await session.run({ [input]: images }, [...new Set(values.values())]);
    return Object.fromEntries(
      [...inputs].map(([output, name]) => [name, present(known[entryOf(values, output)])] as const),
    );
  }
}

/** The one number of a result. */
function numberIn(results: Feeds, name: string): number {
  return Number(present(present(results[name], `the result "${name}"`).data[0]));
}

function scalar(value: number): OrtTensor {
  return new OrtTensor("float32", Float32Array.of(value), []);
}
