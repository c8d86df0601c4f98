import { present } from "../graph/at.js";
import { type InitializerMapping, keptElements } from "../graph/mapping.js";
import type { CheckpointTensor } from "./checkpoint_tensor.js";

/** As a constant of this file, `present` costs nothing in the loops below. */
const read = present;

/** Steps between two looks at the state: a look reads it from the device and takes one pass over it. */
const INTERVAL = 8;

/** What the average's tensors are called in a checkpoint. */
const PREFIX = "average/";

type Tensors = ReadonlyMap<string, CheckpointTensor>;

/**
 * An exponential moving average of a network's values over the steps of its training (Polyak and Juditsky 1992, in the
 * exponential form), which is often better than the last values. At step t the past has the weight
 * min(decay, (1 + t) / (10 + t)) a step, so that the untrained start is forgotten soon.
 */
export class RunningAverage {
  private readonly values = new Map<string, CheckpointTensor>();

  /** @param decay weight of the past a step, 0 to below 1 */
  constructor(private readonly decay: number) {}

  /** Whether `follow` is due after so many steps. */
  isDue(step: number): boolean {
    return step % INTERVAL === 0;
  }

  /** Takes in the values after step number `step`, from 1; the first time they are the average. */
  follow(step: number, values: Tensors): void {
    const past = Math.min(this.decay, (1 + step) / (10 + step)) ** INTERVAL;
    for (const [name, { dims, data }] of values) {
      const average = this.values.get(name);
      if (average === undefined) this.values.set(name, { dims, data: Float32Array.from(data) });
      else mix(average.data, data, past);
    }
  }

  /** The average; empty before the first values. */
  get tensors(): Tensors {
    return this.values;
  }

  /**
   * Goes on with a smaller network. Values into which constants of removed channels were folded, and new ones, begin anew
   * with the next that are taken in.
   */
  shrink(mapping: InitializerMapping): void {
    const before = new Map(this.values);
    this.values.clear();
    for (const [name, origin] of mapping) {
      const average = before.get(origin.source);
      if (average === undefined || origin.folded) continue;
      const dims = origin.dims.map((size, axis) => origin.kept[axis]?.length ?? size);
      this.values.set(name, { dims, data: keptElements(origin, average.data) });
    }
  }

  /** For a checkpoint, beside the state itself. */
  saved(): Tensors {
    return new Map([...this.values].map(([name, tensor]) => [`${PREFIX}${name}`, tensor]));
  }

  /** Begins anew. */
  forget(): void {
    this.values.clear();
  }

  /** Takes a checkpoint's tensor, without copying it, if it is one of the average. @returns whether it is */
  takeBack(name: string, tensor: CheckpointTensor): boolean {
    if (!name.startsWith(PREFIX)) return false;
    this.values.set(name.slice(PREFIX.length), tensor);
    return true;
  }
}

/** average ← past · average + (1 − past) · values. */
function mix(average: Float32Array, values: Float32Array, past: number): void {
  for (let index = 0; index < average.length; index++)
    average[index] = past * read(average[index]) + (1 - past) * read(values[index]);
}
