import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Feeds } from "../execute/engine.js";
import { HostValues, type ResidentValues } from "../execute/resident.js";
import { countNonZeros, elementCount, float32Data } from "../graph/tensor.js";
import type { Graph, Tensor } from "../graph/types.js";
import type { CheckpointTensor } from "./checkpoint_tensor.js";
import type { StateSlot } from "./state_slot.js";

/**
 * The values that a training run carries from step to step. On a device that keeps them, everything that looks
 * at values (`data`, `snapshot`, `applyTo`, `nonZeros`) sees them as of the last `read`.
 */
export class TrainingState {
  constructor(private readonly values: ResidentValues = new HostValues()) {}

  /** Takes a value under `name`, starting from `data` or from zeros. */
  declare(name: string, dims: readonly number[], data?: Float32Array): void {
    if (this.values.has(name)) return;
    const start = data === undefined ? new Float32Array(elementCount(dims)) : Float32Array.from(data);
    this.values.declare(name, dims, start);
  }

  /** What a session is fed for the named values. */
  feeds(names: readonly string[]): Promise<Feeds> {
    return this.values.feeds(names);
  }

  /** What a step is asked for, by output name, so that its results can become the next state. */
  fetches(slots: readonly StateSlot[]): Readonly<Record<string, OrtTensor | null>> {
    return this.values.fetches(slots);
  }

  /** Takes what a step computed. */
  receive(slots: readonly StateSlot[], results: Feeds): void {
    this.values.receive(slots, results);
  }

  /** Makes what the last step computed the present state. */
  advance(slots: readonly StateSlot[]): void {
    this.values.advance(slots);
  }

  /** Brings what can be looked at up to date; nothing to do where the state is in the host's memory. */
  read(): Promise<void> {
    return this.values.read();
  }

  data(name: string): Float32Array {
    return this.values.data(name);
  }

  /** Replaces a value by a copy of `data`. */
  write(name: string, data: Float32Array): void {
    this.values.write(name, data);
  }

  /** Replaces a value by `data`, which takes what the value was. */
  exchange(name: string, data: Float32Array): void {
    this.values.exchange(name, data);
  }

  /** Frees what is on the device; before the sessions of the steps are released. */
  release(): Promise<void> {
    return this.values.release();
  }

  snapshot(): Map<string, CheckpointTensor> {
    return new Map(
      [...this.values.names].map((name) => [
        name,
        { dims: this.values.dims(name), data: this.values.data(name) },
      ]),
    );
  }

  restore(tensors: ReadonlyMap<string, CheckpointTensor>): void {
    for (const [name, { data }] of tensors) this.write(name, data);
  }

  /** The network with the present values as its initializers; shares their memory. */
  applyTo(network: Graph): Graph {
    const initializers = new Map<string, Tensor>(
      [...network.initializers].map(([name, tensor]) => {
        if (!this.values.has(name)) return [name, tensor];
        return [name, { ...tensor, bytes: bytesOf(this.data(name)) }];
      }),
    );
    return { ...network, initializers };
  }

  /** Number of elements of the named values that are not exactly zero. */
  nonZeros(names: readonly string[]): number {
    return names.reduce((sum, name) => sum + countNonZeros(this.data(name)), 0);
  }
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A 0/1 mask of the elements of a tensor that are not exactly zero. */
export function nonZeroMask(tensor: Tensor): OrtTensor {
  const mask = float32Data(tensor).map((value) => (value === 0 ? 0 : 1));
  return new OrtTensor("float32", mask, [...tensor.dims]);
}
