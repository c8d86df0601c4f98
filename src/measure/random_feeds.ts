import { Tensor as OrtTensor } from "onnxruntime-common";
import { Random } from "../data/random.js";
import type { Feeds } from "../execute/engine.js";
import { PenniError } from "../graph/errors.js";
import { describeShape } from "../graph/shape_error.js";
import { elementCount } from "../graph/tensor.js";
import type { ElementType, ValueInfo } from "../graph/types.js";
import { isStatic } from "../ops/core/dims.js";

const bit = (random: Random): number => random.uint32() & 1;

/** The bits of a float16 number in [0, 1). */
const halfBelowOne = (random: Random): number => random.uint32() % 0x3c00;

/** Numbers in [-1, 1), pixels of any value; other integers are 0 or 1, for which most tables have room. */
const draws: Readonly<Partial<Record<ElementType, (count: number, random: Random) => OrtTensor["data"]>>> = {
  float32: (length, random) => Float32Array.from({ length }, () => random.between(-1, 1)),
  float64: (length, random) => Float64Array.from({ length }, () => random.between(-1, 1)),
  float16: (length, random) => Uint16Array.from({ length }, () => halfBelowOne(random)),
  int8: (length, random) => Int8Array.from({ length }, () => bit(random)),
  int16: (length, random) => Int16Array.from({ length }, () => bit(random)),
  int32: (length, random) => Int32Array.from({ length }, () => bit(random)),
  int64: (length, random) => BigInt64Array.from({ length }, () => BigInt(bit(random))),
  uint8: (length, random) => Uint8Array.from({ length }, () => random.uint32() & 0xff),
  uint16: (length, random) => Uint16Array.from({ length }, () => bit(random)),
  uint32: (length, random) => Uint32Array.from({ length }, () => bit(random)),
  uint64: (length, random) => BigUint64Array.from({ length }, () => BigInt(bit(random))),
  bool: (length, random) => Uint8Array.from({ length }, () => bit(random)),
};

/**
 * Random values for inputs of any numeric type, the same for the same seed.
 * @throws PenniError "unsupported" for an input without fixed dimensions, or of strings
 */
export function randomFeeds(inputs: readonly ValueInfo[], seed: number): Feeds {
  return Object.fromEntries(
    inputs.map(({ name, type }, index) => {
      const draw = type === undefined ? undefined : draws[type.elementType];
      if (type === undefined || draw === undefined || !isStatic(type.shape)) {
        throw new PenniError("unsupported", `cannot make up a value for input "${name}"`, {
          expected: "numbers with fixed dimensions",
          found: `${type?.elementType ?? "no tensor"} ${describeShape(type?.shape)}`,
        });
      }
      const data = draw(elementCount(type.shape), new Random(seed, index));
      return [name, new OrtTensor(type.elementType as OrtTensor["type"], data, type.shape)];
    }),
  );
}
