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

/** Collects the parts of a program. */
export class ProgramBuilder {
  private nextId = 0;
  private readonly steps: Step[] = [];
  private readonly constants: { readonly bytes: Uint8Array; readonly offset: number }[] = [];
  private readonly weightOffsets = new Map<number, number>();
  private weightBytes = 0;

  /** @param size in elements of float32 */
  buffer(kind: Exclude<Buffer["kind"], "weights">, size: number): Location {
    return { buffer: { kind, id: this.nextId++, size }, offset: 0 };
  }

  constant(data: Float32Array | Uint16Array | Int32Array): Location {
    const buffer: Buffer = { kind: "weights", id: this.nextId++, size: data.byteLength };
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.weightOffsets.set(buffer.id, this.weightBytes);
    this.constants.push({ bytes, offset: this.weightBytes });
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
