import { present } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { bodiesOf, type Kernel, type PointerType } from "./loops.js";
import {
  type Buffer,
  type Location,
  type Port,
  type Program,
  type Step,
  WEIGHT_ALIGNMENT,
  type WeightLayout,
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
  readonly type: PointerType;
  readonly layout: WeightLayout | undefined;
}

const typeOf = (data: Float32Array | Uint16Array | Int32Array): PointerType => {
  if (data instanceof Float32Array) return "f32";
  return data instanceof Uint16Array ? "u16" : "i32";
};

const HASHED_BYTES = 4096;

/** FNV-1a, 32 bits, of bytes spread over the whole: of hundreds of megabytes it would take seconds. */
function hashOf(bytes: Uint8Array): number {
  // Odd, so that not always the same byte of a number is met.
  const step = Math.floor(bytes.length / HASHED_BYTES) | 1;
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at += step) hash = Math.imul(hash ^ present(bytes[at]), 0x01000193);
  return hash;
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** What the code of a program may consist of: so much, and as much more for each node of the model. */
const MOST_STEPS = { base: 2 ** 18, perNode: 2 ** 12 } as const;
/** Statements, values and positions of all kernels; one has some hundreds. */
const MOST_PARTS = { base: 2 ** 21, perNode: 2 ** 12 } as const;

/** Constants are compared with at most so many others that look the same at a glance. */
const MOST_ALIKE = 16;

/** Objects that something consists of, itself included; counting ends beyond `most`. */
function partsOf(whole: unknown, most: number): number {
  let count = 0;
  const open: unknown[] = [whole];
  for (let part = open.pop(); part !== undefined && count <= most; part = open.pop()) {
    if (typeof part !== "object" || part === null) continue;
    count += 1;
    for (const inner of Object.values(part)) if (typeof inner === "object") open.push(inner);
  }
  return count;
}

/** Collects the parts of a program. */
export class ProgramBuilder {
  private readonly kernels = new Set<Kernel>();
  private partsLeft: number;
  private readonly mostSteps: number;

  private nextId = 0;
  private readonly steps: Step[] = [];
  private readonly preparation: Step[] = [];
  private readonly preparedByCall = new Map<string, Location>();
  private readonly constants: Constant[] = [];
  private readonly constantsByHash = new Map<string, Constant[]>();
  private readonly blocksByHash = new Map<string, Set<number>>();
  private readonly weightOffsets = new Map<number, number>();
  private weightBytes = 0;

  /** @param nodes of the model: the code may grow with them, but not with the numbers in them */
  constructor(nodes: number) {
    this.partsLeft = MOST_PARTS.base + MOST_PARTS.perNode * nodes;
    this.mostSteps = MOST_STEPS.base + MOST_STEPS.perNode * nodes;
  }

  /** @param size in elements of float32 */
  buffer(kind: Exclude<Buffer["kind"], "weights">, size: number): Location {
    return { buffer: { kind, id: this.nextId++, size }, offset: 0 };
  }

  /**
   * Equal constants are kept once.
   * @param layout what the elements stand for, where they may be packed
   */
  constant(data: Float32Array | Uint16Array | Int32Array, layout?: WeightLayout): Location {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${data.constructor.name} ${bytes.length} ${hashOf(bytes)}`;
    const alike = this.constantsByHash.get(key);
    const known = alike?.slice(-MOST_ALIKE).find((constant) => areEqual(constant.bytes, bytes));
    if (known !== undefined) return { buffer: known.buffer, offset: 0 };
    const buffer: Buffer = { kind: "weights", id: this.nextId++, size: data.byteLength };
    const constant: Constant = { buffer, bytes, offset: this.weightBytes, type: typeOf(data), layout };
    this.constants.push(constant);
    if (alike === undefined) this.constantsByHash.set(key, [constant]);
    else alike.push(constant);
    this.weightOffsets.set(buffer.id, this.weightBytes);
    this.weightBytes += Math.ceil(data.byteLength / WEIGHT_ALIGNMENT) * WEIGHT_ALIGNMENT;
    return { buffer, offset: 0 };
  }

  /** For how many outputs at a time the weights with this content are packed; the caller adds what it packs. */
  packedBlocks(weights: Float32Array): Set<number> {
    const bytes = new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength);
    // Where others have the same hash, nothing is lost but the best blocking.
    const key = `${bytes.length} ${hashOf(bytes)}`;
    const known = this.blocksByHash.get(key) ?? new Set();
    this.blocksByHash.set(key, known);
    return known;
  }

  /**
   * What a kernel makes of constants, once before the first run; the same of the same constants is made once.
   * @param kernel its last parameter is what it writes
   * @param size of that, in elements
   */
  prepared(kernel: Kernel, inputs: readonly Location[], size: number, details: StepDetails): Location {
    const from = inputs.map(({ buffer, offset }) => [buffer.id, offset]);
    const key = JSON.stringify([kernel.parameters, kernel.body, from, size]);
    const known = this.preparedByCall.get(key);
    if (known !== undefined) return known;
    const made = this.buffer("prepared", size);
    this.preparation.push(this.step(kernel, [...inputs, made], details));
    this.preparedByCall.set(key, made);
    return made;
  }

  /** @throws PenniError "unsupported" where a node makes more code than any sensible one */
  call(kernel: Kernel, locations: readonly Location[], details: StepDetails): void {
    this.steps.push(this.step(kernel, locations, details));
  }

  private step(kernel: Kernel, locations: readonly Location[], details: StepDetails): Step {
    if (kernel.parameters.length !== locations.length) {
      const counts = `${locations.length} arguments for ${kernel.parameters.length} parameters`;
      throw new PenniError("internal", `kernel ${kernel.name} is called with ${counts}`);
    }
    this.spend(kernel, details);
    return { multiplyAccumulates: 0, ...details, kernel, arguments: locations };
  }

  private spend(kernel: Kernel, { node, op }: StepDetails): void {
    if (!this.kernels.has(kernel)) {
      this.kernels.add(kernel);
      for (const body of bodiesOf(kernel)) this.partsLeft -= partsOf(body, this.partsLeft);
    }
    if (this.partsLeft >= 0 && this.steps.length + this.preparation.length < this.mostSteps) return;
    throw new PenniError("unsupported", "the code for this model would be too long", {
      node,
      op,
      expected: "strides, windows, groups and a batch for which a node takes some thousand calls at most",
      advice: "Check the node's attributes; a model with a large batch is compiled with a batch of 1",
    });
  }

  finish(
    name: string,
    inputs: readonly Port[],
    outputs: readonly Port[],
    metadata: ReadonlyMap<string, string>,
  ): Program {
    const weights = new Uint8Array(this.weightBytes);
    for (const { bytes, offset } of this.constants) weights.set(bytes, offset);
    const { preparation, steps, weightOffsets } = this;
    const constants = this.constants.map(({ bytes, offset, type, layout }) => {
      return { offset, size: bytes.length, type, layout };
    });
    return { name, inputs, outputs, preparation, steps, weights, weightOffsets, metadata, constants };
  }
}

/** A place `elements` further on. */
export function behind(location: Location, elements: number): Location {
  return { buffer: location.buffer, offset: location.offset + elements };
}
