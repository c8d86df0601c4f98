import type { CIdentifier } from "../../text/destinations.js";
import { type PackedWeights, packedKinds, packWeights } from "../packing.js";
import { type Program, WEIGHT_ALIGNMENT } from "../program.js";
import {
  byteArray,
  byteArrayDefinitions,
  byteArrayType,
  byteArrayValues,
  MOST_NUMBER_BYTES,
} from "./byte_arrays.js";
import { wrapped } from "./names.js";

/**
 * The packed weights of a program, where its model has, or is asked for, less than float32: others are constants that
 * need no memory, as small machines want them.
 */
export function packedForC(program: Program): PackedWeights | undefined {
  const isFloat32 = (program.weightsType ?? "float32") === "float32";
  return isFloat32 ? undefined : packWeights(program);
}

/** Names that the code which expands weights takes. */
export const unpackNames: readonly string[] = [
  ...["integer", "word", "float", "half", "count", "step", "weight"].map((part) => `unpack_${part}`),
  ...["memcpy", "size_t"],
];

/** The packed bytes as an array: its type where it needs one of its own, its declaration, its definition. */
export interface PackedArray {
  readonly type: string;
  readonly declaration: string;
  readonly definition: (qualifier: "static " | "") => string;
  /** The first byte's place, as an expression. */
  readonly values: string;
}

export function packedArray(network: CIdentifier, { bytes }: PackedWeights): PackedArray {
  const name = packedName(network);
  if (bytes.length > MOST_NUMBER_BYTES) {
    return {
      type: byteArrayType({ name, element: "unsigned char", count: bytes.length, size: bytes.length }),
      declaration: `extern ${byteArray(name)};`,
      definition: (qualifier) => byteArrayDefinitions([{ name, bytes }], qualifier),
      values: byteArrayValues(name),
    };
  }
  const array = `const unsigned char ${name}[${bytes.length}]`;
  return {
    type: "",
    declaration: `extern ${array};`,
    definition: (qualifier) => `${qualifier}${array} = {\n  ${wrapped(Array.from(bytes, String), "  ")}\n};`,
    values: name,
  };
}

/** An identifier with this behind it is one. */
const packedName = (network: CIdentifier): CIdentifier => `${network}_packed` as CIdentifier;

/** How weights are expanded. */
export interface Expansion {
  readonly name: CIdentifier;
  /** Whether what is packed is a parameter, else an array. */
  readonly isInFile: boolean;
  /** Where what `NAME_prepare` makes of them begins, in bytes; undefined where there is nothing. */
  readonly preparedAt: number | undefined;
}

/** Expands packed weights, and prepares what is prepared of them. */
export function unpackFunction({ name, isInFile, preparedAt }: Expansion, packed: PackedWeights): string {
  const { raw, halves, blocks, runs, gaps, bits, left } = packedKinds;
  const parameters = isInFile ? "const void *packed, void *weights" : "void *weights";
  return `static uint32_t unpack_integer(const unsigned char **from) {
  uint32_t value = 0;
  unsigned shift = 0;
  unsigned char byte;
  do {
    byte = *(*from)++;
    value |= (uint32_t)(byte & 127) << shift;
    shift += 7;
  } while (byte >= 128);
  return value;
}

static uint32_t unpack_word(const unsigned char *from) {
  return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static float unpack_float(const unsigned char *from) {
  const uint32_t word = unpack_word(from);
  float value;
  memcpy(&value, &word, sizeof value);
  return value;
}

static float unpack_half(uint32_t half) {
  const uint32_t word = (half & 0x7fff) << 13;
  float value;
  memcpy(&value, &word, sizeof value);
  value *= 5192296858534827628530496329220096.0f;
  return half & 0x8000 ? -value : value;
}

static uint32_t unpack_count(const unsigned char *from, uint32_t bytes) {
  uint16_t small;
  uint32_t large;
  if (bytes == 2) {
    memcpy(&small, from, sizeof small);
    return small;
  }
  memcpy(&large, from, sizeof large);
  return large;
}

static unsigned char *unpack_step(unsigned char *to, uint32_t step, uint32_t bytes) {
  const uint16_t small = (uint16_t)step;
  if (bytes == 2) memcpy(to, &small, 2);
  else memcpy(to, &step, 4);
  return to + bytes;
}

static unsigned char *unpack_weight(unsigned char *to, unsigned char level, float scale) {
  const float value = (float)(level < 128 ? level : level - 256) * scale;
  memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

void ${name}_unpack(${parameters}) {
  const unsigned char *const bytes = ${isInFile ? "packed" : packedArray(name, packed).values}, *from = bytes;
  const unsigned char *levels = bytes + ${packed.levels}, *places = bytes + ${packed.places};
  unsigned char *const start = weights, *to = start;
  while (from < bytes + ${packed.levels}) {
    const uint32_t kind = unpack_integer(&from), n = unpack_integer(&from);
    if (kind == ${raw}) {
      const uint32_t size = unpack_integer(&from);
      for (uint32_t i = 0; i < n; i += size, from += size)
        to = unpack_step(to, size == 2 ? from[0] | (uint32_t)from[1] << 8 : unpack_word(from), size);
    } else if (kind == ${halves}) {
      for (uint32_t i = 0; i < n; i++, from += 2, to += 4) {
        const float value = unpack_half(from[0] | (uint32_t)from[1] << 8);
        memcpy(to, &value, sizeof value);
      }
    } else if (kind == ${blocks}) {
      const uint32_t each = unpack_integer(&from), block = unpack_integer(&from);
      const unsigned char *const scales = from;
      from += 4 * (size_t)n;
      for (uint32_t first = 0; first < n; first += block) {
        const uint32_t last = n - first < block ? n : first + block;
        for (uint32_t i = 0; i < each; i++) {
          for (uint32_t output = first; output < last; output++)
            to = unpack_weight(to, *levels++, unpack_float(scales + 4 * (size_t)output));
        }
      }
    } else if (kind == ${runs}) {
      const unsigned char *counts = start + unpack_integer(&from);
      const uint32_t count_bytes = unpack_integer(&from);
      const unsigned char *const scales = from;
      from += 4 * (size_t)n;
      for (uint32_t output = 0; output < n; output++, counts += count_bytes) {
        const float scale = unpack_float(scales + 4 * (size_t)output);
        for (uint32_t left = unpack_count(counts, count_bytes); left > 0; left--)
          to = unpack_weight(to, *levels++, scale);
      }
    } else if (kind == ${gaps} || kind == ${bits}) {
      unsigned char *counts = start + unpack_integer(&from);
      const uint32_t count_bytes = unpack_integer(&from);
      const uint32_t row = kind == ${bits} ? unpack_integer(&from) : 0;
      const uint32_t group = kind == ${bits} ? unpack_integer(&from) : 1;
      const uint32_t step_bytes = unpack_integer(&from), taps = unpack_integer(&from);
      const uint32_t plane = unpack_integer(&from);
      const unsigned char *const table = from;
      from += 4 * (size_t)taps;
      for (uint32_t output = 0; output < n; output++) {
        const unsigned char *const first = to;
        uint32_t left = kind == ${gaps} ? unpack_count(counts, count_bytes) : row;
        uint32_t place = 0, before = 0;
        for (; left > 0; left--, place++) {
          uint32_t position;
          if (kind == ${bits}) {
            const uint32_t at = (place % group * n + output) * (row / group) + place / group;
            if ((places[at >> 3] >> (at & 7) & 1) == 0) continue;
          } else {
            while (*places == 255) place += *places++;
            place += *places++;
          }
          position = place / taps * plane + unpack_word(table + 4 * (size_t)(place % taps));
          to = unpack_step(to, position - before, step_bytes);
          before = position;
        }
        if (kind == ${bits}) unpack_step(counts, (uint32_t)(to - first) / step_bytes, count_bytes);
        counts += count_bytes;
      }
      places += (n * row + 7) >> 3;
    } else if (kind == ${left}) {
      to += n;
    }
    to = start + ((size_t)(to - start) + ${WEIGHT_ALIGNMENT - 1}) / ${WEIGHT_ALIGNMENT} * ${WEIGHT_ALIGNMENT};
  }${preparedAt === undefined ? "" : `\n  ${name}_prepare(start, start + ${preparedAt});`}
}`;
}
