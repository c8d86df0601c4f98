import { Tensor as OrtTensor } from "onnxruntime-common";
import { type Session, toOrtTensor } from "../execute/engine.js";
import { openSession } from "../execute/node.js";
import { PenniError } from "../graph/errors.js";
import type { Graph, Tensor } from "../graph/types.js";
import type { CalibrationImages } from "./layer_moments.js";
import { RelativeChange } from "./relative_change.js";

/** One output's values for all images: float32 [images, size]. */
type Outputs = ReadonlyMap<string, Float32Array>;

/**
 * How far a network's outputs move when some of its weights are replaced. The weights are inputs of one session, so
 * that nothing is loaded anew.
 */
export class OutputProbe {
  private constructor(
    private readonly session: Session,
    private readonly network: Graph,
    private readonly weights: ReadonlyMap<string, OrtTensor>,
    private readonly images: () => CalibrationImages,
    private readonly reference: Outputs,
  ) {}

  /**
   * @param network with a static batch and one image input
   * @param replaceable names of initializers that `error` may replace
   */
  static async open(
    network: Graph,
    replaceable: readonly string[],
    images: () => CalibrationImages,
    threads: number,
  ): Promise<OutputProbe> {
    const weights = new Map<string, OrtTensor>();
    const initializers = new Map(network.initializers);
    const inputs = [...network.inputs];
    for (const name of replaceable) {
      const tensor = initializers.get(name);
      if (tensor === undefined) continue;
      initializers.delete(name);
      inputs.push({ name, type: { elementType: tensor.type, shape: tensor.dims } });
      weights.set(name, toOrtTensor(tensor));
    }
    const session = await openSession(
      { ...network, inputs, initializers, valueInfo: new Map() },
      { threads },
    );
    const probe = new OutputProbe(session, network, weights, images, new Map());
    return new OutputProbe(session, network, weights, images, await probe.outputs(new Map()));
  }

  /**
   * The mean squared change of the outputs, each relative to its variance over the images; averaged over the
   * outputs. 0 where nothing changes, 1 where the outputs are no better than their mean.
   */
  async error(replaced: ReadonlyMap<string, Tensor>): Promise<number> {
    const changed = new Map([...replaced].map(([name, tensor]) => [name, toOrtTensor(tensor)] as const));
    const outputs = await this.outputs(changed);
    const errors = [...this.reference].map(([name, wanted]) => {
      const change = new RelativeChange();
      change.add(wanted, outputs.get(name) ?? new Float32Array(0));
      return change.result;
    });
    return errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length);
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private async outputs(replaced: ReadonlyMap<string, OrtTensor>): Promise<Outputs> {
    const [input] = this.network.inputs;
    if (input === undefined) throw new PenniError("bad-model", "the network has no input");
    const { batches, dims } = this.images();
    const feeds = Object.fromEntries([...this.weights, ...replaced]);
    const parts = new Map<string, Float32Array[]>();
    for (const { images } of batches) {
      const count = images.length / dims.reduce((product, dim) => product * dim, 1);
      const tensor = new OrtTensor("float32", images, [count, ...dims]);
      const results = await this.session.run({ ...feeds, [input.name]: tensor });
      for (const [name, result] of Object.entries(results)) {
        // Integers (classes, indices) do not move little by little.
        if (!(result.data instanceof Float32Array)) continue;
        const list = parts.get(name) ?? [];
        list.push(result.data);
        parts.set(name, list);
      }
    }
    return new Map([...parts].map(([name, list]) => [name, joined(list)]));
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
