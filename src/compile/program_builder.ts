import type { Kernel } from "./loops.js";
import {
  type Buffer,
  type Location,
  type Port,
  type Program,
  type Step,
  WEIGHT_ALIGNMENT,
} from "./program.js";

/** What of a step is not its kernel. */
export interface StepDetails {
  readonly node: string;
  readonly op: string;
  readonly multiplyAccumulates?: number;
}

interface Constant {
  readonly buffer: Buffer;
  readonly bytes: Uint8Array;
  readonly offset: number;
}

const HASHED_BYTES = 4096;

/** FNV-1a, 32 bits, of bytes spread over the whole: of hundreds of megabytes it would take seconds. */
function hashOf(bytes: Uint8Array): number {
  // Odd, so that not always the same byte of a number is met.
  const step = Math.floor(bytes.length / HASHED_BYTES) | 1;
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at += step) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash;
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Collects the parts of a program. */
export class ProgramBuilder {
  private nextId = 0;
  private readonly steps: Step[] = [];
  private readonly constants: Constant[] = [];
  private readonly constantsByHash = new Map<string, Constant[]>();
  private readonly weightOffsets = new Map<number, number>();
  private weightBytes = 0;

  /** @param size in elements of float32 */
  buffer(kind: Exclude<Buffer["kind"], "weights">, size: number): Location {
    return { buffer: { kind, id: this.nextId++, size }, offset: 0 };
  }

  /** Equal constants are kept once. */
  constant(data: Float32Array | Uint16Array | Int32Array): Location {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${data.constructor.name} ${bytes.length} ${hashOf(bytes)}`;
    const alike = this.constantsByHash.get(key);
    const known = alike?.find((constant) => areEqual(constant.bytes, bytes));
    if (known !== undefined) return { buffer: known.buffer, offset: 0 };
    const buffer: Buffer = { kind: "weights", id: this.nextId++, size: data.byteLength };
    const constant: Constant = { buffer, bytes, offset: this.weightBytes };
    this.constants.push(constant);
    if (alike === undefined) this.constantsByHash.set(key, [constant]);
    else alike.push(constant);
    this.weightOffsets.set(buffer.id, this.weightBytes);
    this.weightBytes += Math.ceil(data.byteLength / WEIGHT_ALIGNMENT) * WEIGHT_ALIGNMENT;
    return { buffer, offset: 0 };
  }

  call(kernel: Kernel, locations: readonly Location[], details: StepDetails): void {
    if (kernel.parameters.length !== locations.length) {
      const counts = `${locations.length} arguments for ${kernel.parameters.length} parameters`;
      throw new Error(`kernel ${kernel.name} is called with ${counts}`);
    }
    this.steps.push({ multiplyAccumulates: 0, ...details, kernel, arguments: locations });
  }

  finish(
    name: string,
    inputs: readonly Port[],
    outputs: readonly Port[],
    metadata: ReadonlyMap<string, string>,
  ): Program {
    const weights = new Uint8Array(this.weightBytes);
    for (const { bytes, offset } of this.constants) weights.set(bytes, offset);
    const { steps, weightOffsets } = this;
    return { name, inputs, outputs, steps, weights, weightOffsets, metadata };
  }
}

/** A place `elements` further on. */
export function behind(location: Location, elements: number): Location {
  return { buffer: location.buffer, offset: location.offset + elements };
}
