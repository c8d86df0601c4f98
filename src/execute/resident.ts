import { Tensor as OrtTensor } from "onnxruntime-common";
import { attributes } from "../graph/attributes.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { keepsOutputs, type Provider } from "./device.js";
import type { Engine, Feeds, Session } from "./engine.js";

/** A value that a run takes in under one name and gives back updated under another. */
export interface ValueSlot {
  readonly input: string;
  readonly output: string;
  /** Whether the run may write the new value over the old one: whatever it reads the old one for comes before (see `train/in_place.ts`). */
  readonly inPlace?: boolean;
}

/**
 * Named float32 values that runs read and replace, kept where the runs happen. A run is fed with `feeds`, asked
 * for `fetches`, and its results go to `receive`; they become the present values with `advance`, or are dropped
 * by the next `receive`. On the host the values of in-place slots are replaced by the run itself.
 */
export interface ResidentValues {
  readonly names: Iterable<string>;
  has(name: string): boolean;
  dims(name: string): readonly number[];
  /** Takes a value under a new name; `data` is kept, not copied. */
  declare(name: string, dims: readonly number[], data: Float32Array): void;
  feeds(names: readonly string[]): Promise<Feeds>;
  /** What a run is asked for, by output name. */
  fetches(slots: readonly ValueSlot[]): Readonly<Record<string, OrtTensor | null>>;
  receive(slots: readonly ValueSlot[], results: Feeds): void;
  advance(slots: readonly ValueSlot[]): void;
  /** Brings what `data` shows up to date. */
  read(): Promise<void>;
  /** The value as of the last `read`, or as written since; on the host, values are always up to date. */
  data(name: string): Float32Array;
  /** Replaces a value by a copy of `data`. */
  write(name: string, data: Float32Array): void;
  /** Replaces a value, as of the last `read`, by `data`, which takes what it was. */
  exchange(name: string, data: Float32Array): void;
  /** Frees what is kept on the device. Must come before the sessions that computed it are released. */
  release(): Promise<void>;
}

/** Values for sessions of this provider. */
export function residentValues(engine: Engine, provider: Provider): ResidentValues {
  return keepsOutputs[provider] ? new DeviceValues(engine, provider) : new HostValues();
}

function unknownValue(name: string): PenniError {
  return new PenniError("internal", `there is no value "${name}"`);
}

/** In the host's memory. A value has two tensors, one that a run reads and one that it writes; in-place ones are both in one. */
export class HostValues implements ResidentValues {
  private readonly present = new Map<string, OrtTensor>();
  private readonly next = new Map<string, OrtTensor>();

  get names(): Iterable<string> {
    return this.present.keys();
  }

  has(name: string): boolean {
    return this.present.has(name);
  }

  dims(name: string): readonly number[] {
    return tensorIn(this.present, name).dims;
  }

  declare(name: string, dims: readonly number[], data: Float32Array): void {
    this.present.set(name, new OrtTensor("float32", data, [...dims]));
  }

  async feeds(names: readonly string[]): Promise<Feeds> {
    return Object.fromEntries(names.map((name) => [name, tensorIn(this.present, name)]));
  }

  fetches(slots: readonly ValueSlot[]): Readonly<Record<string, OrtTensor>> {
    return Object.fromEntries(
      slots.map(({ input, output, inPlace = false }) => [
        output,
        inPlace ? tensorIn(this.present, input) : this.target(input),
      ]),
    );
  }

  /** The run has written into the tensors of `fetches`. */
  receive(): void {}

  advance(slots: readonly ValueSlot[]): void {
    for (const { input } of slots) {
      const written = this.next.get(input);
      if (written === undefined) continue;
      this.next.set(input, tensorIn(this.present, input));
      this.present.set(input, written);
    }
  }

  async read(): Promise<void> {}

  data(name: string): Float32Array {
    return tensorIn(this.present, name).data as Float32Array;
  }

  write(name: string, data: Float32Array): void {
    this.data(name).set(data);
  }

  exchange(name: string, data: Float32Array): void {
    exchange(this.data(name), data);
  }

  async release(): Promise<void> {}

  /** What a run writes; allocated only for what is ever written. */
  private target(name: string): OrtTensor {
    const known = this.next.get(name);
    if (known !== undefined) return known;
    const { dims, size } = tensorIn(this.present, name);
    const target = new OrtTensor("float32", new Float32Array(size), dims);
    this.next.set(name, target);
    return target;
  }
}

/** Elements at once: what an exchange needs of memory. */
const EXCHANGED = 65_536;

function exchange(one: Float32Array, other: Float32Array): void {
  for (let start = 0; start < one.length; start += EXCHANGED) {
    const part = one.slice(start, start + EXCHANGED);
    one.set(other.subarray(start, start + EXCHANGED), start);
    other.set(part, start);
  }
}

function tensorIn(tensors: ReadonlyMap<string, OrtTensor>, name: string): OrtTensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw unknownValue(name);
  return tensor;
}

interface DeviceValue {
  readonly dims: readonly number[];
  /** The value as of the last read. */
  readonly host: Float32Array;
  /** Whether a run has replaced the value since. */
  stale: boolean;
  /** Absent until the value is first fed. */
  device: OrtTensor | undefined;
  /** What the last run computed. */
  next: OrtTensor | undefined;
}

/**
 * In buffers of the device. Values go there and back through sessions that do nothing but copy: a tensor of
 * onnxruntime-node 1.30 cannot be downloaded by itself (`getData` ends the process).
 */
export class DeviceValues implements ResidentValues {
  private readonly values = new Map<string, DeviceValue>();
  private readonly copiers = new Map<string, Session>();

  constructor(
    private readonly engine: Engine,
    private readonly provider: Provider,
  ) {}

  get names(): Iterable<string> {
    return this.values.keys();
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  dims(name: string): readonly number[] {
    return this.value(name).dims;
  }

  declare(name: string, dims: readonly number[], data: Float32Array): void {
    this.values.set(name, { dims, host: data, stale: false, device: undefined, next: undefined });
  }

  async feeds(names: readonly string[]): Promise<Feeds> {
    const absent = names.filter((name) => this.value(name).device === undefined);
    if (absent.length > 0) await this.upload(absent);
    return Object.fromEntries(names.map((name) => [name, this.onDevice(name)]));
  }

  fetches(slots: readonly ValueSlot[]): Readonly<Record<string, null>> {
    return Object.fromEntries(slots.map(({ output }) => [output, null]));
  }

  receive(slots: readonly ValueSlot[], results: Feeds): void {
    for (const { input, output } of slots) {
      const value = this.value(input);
      value.next?.dispose();
      value.next = results[output];
    }
  }

  advance(slots: readonly ValueSlot[]): void {
    for (const { input } of slots) {
      const value = this.value(input);
      if (value.next === undefined) throw new PenniError("internal", `nothing was computed for "${input}"`);
      value.device?.dispose();
      value.device = value.next;
      value.next = undefined;
      value.stale = true;
    }
  }

  async read(): Promise<void> {
    const stale = [...this.values.keys()].filter((name) => this.value(name).stale);
    if (stale.length === 0) return;
    const copier = await this.copier("download", stale);
    const results = await copier.run(
      Object.fromEntries(stale.map((name) => [name, this.onDevice(name)])),
      stale.map(copyOf),
    );
    for (const name of stale) {
      const value = this.value(name);
      value.host.set(tensorOf(results, name).data as Float32Array);
      value.stale = false;
    }
  }

  data(name: string): Float32Array {
    return this.value(name).host;
  }

  write(name: string, data: Float32Array): void {
    this.value(name).host.set(data);
    this.forgetDevice(name);
  }

  exchange(name: string, data: Float32Array): void {
    exchange(this.value(name).host, data);
    this.forgetDevice(name);
  }

  /** What the host holds is the value from now on. */
  private forgetDevice(name: string): void {
    const value = this.value(name);
    value.stale = false;
    value.device?.dispose();
    value.device = undefined;
  }

  async release(): Promise<void> {
    for (const value of this.values.values()) {
      value.device?.dispose();
      value.next?.dispose();
      value.device = undefined;
      value.next = undefined;
    }
    for (const copier of this.copiers.values()) await copier.release();
    this.copiers.clear();
  }

  private value(name: string): DeviceValue {
    const value = this.values.get(name);
    if (value === undefined) throw unknownValue(name);
    return value;
  }

  private onDevice(name: string): OrtTensor {
    const { device } = this.value(name);
    if (device === undefined) throw new PenniError("internal", `value "${name}" is not on the device`);
    return device;
  }

  private async upload(names: readonly string[]): Promise<void> {
    const copier = await this.copier("upload", names);
    const feeds = names.map((name) => {
      const { host, dims } = this.value(name);
      return [name, new OrtTensor("float32", host, [...dims])] as const;
    });
    const results = await copier.run(Object.fromEntries(feeds), names.map(copyOf));
    for (const name of names) this.value(name).device = tensorOf(results, name);
  }

  /** A session that copies these values from the host to the device, or back. */
  private async copier(direction: "upload" | "download", names: readonly string[]): Promise<Session> {
    const key = JSON.stringify([direction, ...names]);
    const known = this.copiers.get(key);
    if (known !== undefined) return known;
    const copier = await this.engine.openSession(this.copyGraph(names), {
      provider: this.provider,
      residentOutputs: direction === "upload" ? names.map(copyOf) : [],
    });
    this.copiers.set(key, copier);
    return copier;
  }

  private copyGraph(names: readonly string[]): Graph {
    return {
      name: "copy",
      opsets: new Map([["", 17]]),
      inputs: names.map((name) => ({
        name,
        type: { elementType: "float32", shape: this.value(name).dims },
      })),
      outputs: names.map((name) => ({ name: copyOf(name), type: undefined })),
      nodes: names.map((name) => ({
        name: "",
        op: "Identity",
        domain: "",
        inputs: [name],
        outputs: [copyOf(name)],
        attributes: attributes({}),
      })),
      initializers: new Map(),
      valueInfo: new Map(),
      metadata: new Map(),
    };
  }
}

const copyOf = (name: string): string => `${name}/penni_copy`;

function tensorOf(results: Feeds, name: string): OrtTensor {
  const tensor = results[copyOf(name)];
  if (tensor === undefined) throw new PenniError("internal", `the runtime left out "${name}"`);
  return tensor;
}
