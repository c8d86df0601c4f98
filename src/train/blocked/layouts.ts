import { at, dims4 } from "../../graph/at.js";
import type { Node } from "../../graph/types.js";
import type { NodeContext } from "../../ops/core/context.js";
import { neg } from "../../ops/core/emit.js";
import type { TypedBuilder } from "../../ops/inference/builder.js";
import { type Inference, nodeContext, staticDims } from "../../ops/inference/infer.js";
import { BlockedEmitter, paddedTo } from "./emitter.js";
import { Fusion } from "./fusion.js";
import { type Shifted, ValueForms } from "./value_forms.js";

/** Of the images or maps of a batch. */
export type BatchDims = readonly [batch: number, channels: number, height: number, width: number];

/**
 * The values of a graph in up to two layouts: plain [N, C, H, W], and blocked [N, C/b, H, W, b] with the
 * channels padded with zeros to a multiple of the block b. Each is made from the other when it is asked for.
 * A blocked value keeps four nominal dimensions, as the runtime's own blocked operators want it.
 */
export class Layouts {
  readonly emit: BlockedEmitter;
  readonly fusion: Fusion;
  private readonly forms = new ValueForms();
  private readonly shared = new Map<string, string>();

  /**
   * @param inferred of all values of the graph that is rewritten
   * @param uses how often each of its values is read
   */
  constructor(
    readonly b: TypedBuilder,
    readonly block: number,
    private readonly inferred: Inference,
    uses: ReadonlyMap<string, number>,
  ) {
    this.emit = new BlockedEmitter(b, block);
    this.fusion = new Fusion(b, this.forms, uses);
  }

  dims(name: string): readonly number[] {
    return staticDims(this.inferred.types, name);
  }

  /** What is known of a node of the graph that is rewritten. */
  context(node: Node): NodeContext {
    return nodeContext(node, this.b.opset, this.inferred.types, this.inferred.values);
  }

  isImage(name: string): boolean {
    const type = this.inferred.types.get(name);
    return type?.elementType === "float32" && type.shape?.length === 4;
  }

  /** Whether a value is there without a change of its layout. */
  isBlocked(name: string): boolean {
    return this.forms.blocked(name) !== undefined || this.forms.shifted(name) !== undefined;
  }

  /** Channels with the padding. */
  padded(channels: number): number {
    return paddedTo(this.block, channels);
  }

  /** Channels of an image, without the padding. */
  channels(name: string): number {
    return at(this.dims(name), 1);
  }

  /** Dimensions of an image's blocked form. */
  blockedDims(name: string): BatchDims {
    const [batch, channels, height, width] = dims4(this.dims(name));
    return [batch, this.padded(channels), height, width];
  }

  setPlain(name: string, plain: string): void {
    this.forms.set(name, { plain });
  }

  setBlocked(name: string, blocked: string): void {
    this.forms.set(name, { blocked });
  }

  setShifted(name: string, shifted: Shifted): void {
    this.forms.set(name, { shifted });
  }

  plain(name: string): string {
    const known = this.forms.plain(name);
    if (known !== undefined) return known;
    if (!this.isBlocked(name)) return name;
    const plain = this.emit.toPlain(this.blocked(name), this.dims(name));
    this.setPlain(name, plain);
    return plain;
  }

  blocked(name: string): string {
    const known = this.forms.blocked(name);
    if (known !== undefined) return known;
    const shifted = this.forms.shifted(name);
    const blocked =
      shifted === undefined
        ? this.emit.toBlocked(this.plain(name), this.blockedDims(name))
        : this.lessMean(shifted, name);
    this.setBlocked(name, blocked);
    return blocked;
  }

  /** The value with its mean still to be subtracted; undefined where it has none. */
  shifted(name: string): Shifted | undefined {
    return this.forms.shifted(name);
  }

  private lessMean({ value, mean }: Shifted, name: string): string {
    const bias = this.emit.pad(neg(this.b, mean));
    return this.emit.scale(value, this.fill(this.channels(name), 1), { bias });
  }

  /** The value of `make`, made at the first call with this key. */
  once(key: string, make: () => string): string {
    const value = this.shared.get(key) ?? make();
    this.shared.set(key, value);
    return value;
  }

  /** A constant vector of whole blocks. */
  fill(channels: number, value: number): string {
    const size = this.padded(channels);
    const make = (): string => this.b.floats(`fill_${value}`, [size], new Float32Array(size).fill(value));
    return this.once(`fill ${size} ${value}`, make);
  }
}
