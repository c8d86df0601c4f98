import { orDefault } from "../../graph/at.js";
import { vectorCode } from "./vector_code.js";
import type { VectorFunction } from "./vector_functions.js";

/** Identifiers that the prelude and the headers define: no other name of the file may be one of them. */
export const preludeNames: readonly string[] = [
  ...Object.keys(vectorCode),
  ..."part part_bits part_in_memory v8 PARTS PART_LANES MASK KERNEL INLINE NAN INFINITY NULL".split(" "),
  ..."PREFETCH ROOMY USE_AVX USE_SSE USE_NEON USE_SCALAR ANY_REGISTER ptrdiff_t size_t uint16_t int32_t uint32_t uintptr_t sqrtf".split(
    " ",
  ),
];

/** The types of vectors, and the functions on them that are used. @param scalarMacro chooses the scalar form */
export function vectorPrelude(used: ReadonlySet<VectorFunction>, scalarMacro: string): string {
  if (used.size === 0) return "";
  const needed = withNeeds(used);
  const functions = (Object.keys(vectorCode) as VectorFunction[]).filter((name) => needed.has(name));
  return [types(scalarMacro, needed), ...functions.map((name) => vectorCode[name].code)].join("\n\n");
}

function withNeeds(used: ReadonlySet<VectorFunction>): ReadonlySet<VectorFunction> {
  const needed = new Set<VectorFunction>();
  const add = (name: VectorFunction): void => {
    if (needed.has(name)) return;
    needed.add(name);
    for (const other of orDefault(vectorCode[name].needs, [])) add(other);
  };
  for (const name of used) add(name);
  return needed;
}

function types(scalarMacro: string, needed: ReadonlySet<VectorFunction>): string {
  const mathHeader = needed.has("v8_square_root") ? "#include <math.h>\n" : "";
  return `/*
 * A vector of 8 floats is an array of parts as long as the machine's registers; every function on vectors is a loop
 * over the parts, which compilers unroll. Without AVX, SSE2 or 64-bit NEON, or if ${scalarMacro} is
 * defined, parts are single floats, and nothing but C99 is used.
 */
#if defined(${scalarMacro}) || !defined(__GNUC__)
#define USE_SCALAR
#elif defined(__AVX__)
#define USE_AVX
#elif defined(__SSE2__)
#define USE_SSE
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define USE_NEON
#else
#define USE_SCALAR
#endif

/* 32 registers for vectors of 8: kernels sum larger blocks. */
#if defined(USE_AVX) && defined(__AVX512VL__) && !defined(ROOMY)
#define ROOMY
#endif

/* A hint that an element is read soon; it may lie behind the last one, so its address is a number. */
#if defined(USE_SCALAR)
#define PREFETCH(from, position) ((void)(position))
#else
#define PREFETCH(from, position) \\
  __builtin_prefetch((const void *)((uintptr_t)(from) + (size_t)(position) * sizeof *(from)))
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((unused))
#else
#define INLINE static inline
#endif

#if defined(USE_SCALAR)
${mathHeader}#define PARTS 8
typedef float part;
typedef uint32_t part_bits;
typedef float part_in_memory;
#define MASK(condition) (0u - (uint32_t)(condition))
#else
#if defined(USE_NEON)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif
#if defined(USE_AVX)
#define PARTS 1
#else
#define PARTS 2
#endif
typedef float part __attribute__((vector_size(32 / PARTS)));
typedef uint32_t part_bits __attribute__((vector_size(32 / PARTS)));
/* Anywhere in memory. */
typedef float part_in_memory __attribute__((vector_size(32 / PARTS), aligned(4), may_alias));
#define MASK(condition) ((part_bits)(condition))
#if defined(USE_NEON)
#define ANY_REGISTER "+w"
#elif defined(__AVX512VL__)
#define ANY_REGISTER "+v"
#else
#define ANY_REGISTER "+x"
#endif
#endif
#define PART_LANES (8 / PARTS)
typedef struct { part parts[PARTS]; } v8;`;
}
