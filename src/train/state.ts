import { Tensor as OrtTensor } from "onnxruntime-common";
import { PenniError } from "../graph/errors.js";
import { elementCount, float32Data } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import type { CheckpointTensor } from "./checkpoint.js";
import type { StateSlot } from "./step.js";

/**
 * The values that a training run carries from step to step, each in two preallocated tensors: a step reads
 * one and writes the other, then they change places.
 */
export class TrainingState {
  private readonly current = new Map<string, OrtTensor>();
  private readonly next = new Map<string, OrtTensor>();

  /** Takes a value under `name`, starting from `data` or from zeros. */
  declare(name: string, dims: readonly number[], data?: Float32Array): void {
    if (this.current.has(name)) return;
    const start = data === undefined ? new Float32Array(elementCount(dims)) : Float32Array.from(data);
    this.current.set(name, new OrtTensor("float32", start, [...dims]));
    this.next.set(name, new OrtTensor("float32", new Float32Array(start.length), [...dims]));
  }

  /** The tensor a step reads. */
  tensor(name: string): OrtTensor {
    return lookUp(this.current, name);
  }

  /** The tensor a step writes. */
  target(name: string): OrtTensor {
    return lookUp(this.next, name);
  }

  data(name: string): Float32Array {
    return this.tensor(name).data as Float32Array;
  }

  /** After a step: what was written becomes what is read. */
  advance(slots: Iterable<StateSlot>): void {
    for (const { input } of slots) {
      const read = lookUp(this.current, input);
      this.current.set(input, lookUp(this.next, input));
      this.next.set(input, read);
    }
  }

  snapshot(): Map<string, CheckpointTensor> {
    return new Map(
      [...this.current].map(([name, tensor]) => [
        name,
        { dims: tensor.dims, data: tensor.data as Float32Array },
      ]),
    );
  }

  restore(tensors: ReadonlyMap<string, CheckpointTensor>): void {
    for (const [name, { data }] of tensors) this.data(name).set(data);
  }

  /** The network with the present values as its initializers. */
  applyTo(network: Graph): Graph {
    const initializers = new Map<string, Tensor>(
      [...network.initializers].map(([name, tensor]) => {
        if (!this.current.has(name)) return [name, tensor];
        const copy = Uint8Array.from(bytesOf(this.data(name)));
        return [name, { ...tensor, bytes: copy }];
      }),
    );
    return { ...network, initializers };
  }

  /** Share of exact zeros among the elements of the named values, 0 to 1; 0 where there are none. */
  zeroShare(names: readonly string[]): number {
    let zeros = 0;
    let elements = 0;
    for (const name of names) {
      const data = this.data(name);
      elements += data.length;
      for (const value of data) if (value === 0) zeros += 1;
    }
    return elements === 0 ? 0 : zeros / elements;
  }
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function lookUp(tensors: ReadonlyMap<string, OrtTensor>, name: string): OrtTensor {
  const tensor = tensors.get(name);
  if (tensor !== undefined) return tensor;
  throw new PenniError("internal", `training state has no value "${name}"`);
}

/** A 0/1 mask of the elements of a tensor that are not exactly zero. */
export function nonZeroMask(tensor: Tensor): OrtTensor {
  const mask = float32Data(tensor).map((value) => (value === 0 ? 0 : 1));
  return new OrtTensor("float32", mask, [...tensor.dims]);
}
