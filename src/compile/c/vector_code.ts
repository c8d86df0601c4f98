import type { BinaryName, ComparisonName, UnaryName, VectorFunction } from "./vector_functions.js";

interface Definition {
  readonly needs?: readonly VectorFunction[];
  readonly code: string;
}

/** The code of each; one that another needs stands before it. */
export const vectorCode: Readonly<Record<VectorFunction, Definition>> = {
  bits_of: {
    code: `INLINE part_bits bits_of(part value) {
  union { part value; part_bits bits; } both;
  both.value = value;
  return both.bits;
}`,
  },
  with_bits: {
    code: `INLINE part with_bits(part_bits bits) {
  union { part value; part_bits bits; } both;
  both.bits = bits;
  return both.value;
}`,
  },
  choose: {
    needs: ["bits_of", "with_bits"],
    code: `/* Lane by lane a where the mask's bits are set, else b. */
INLINE part choose(part_bits mask, part a, part b) {
  return with_bits((bits_of(a) & mask) | (bits_of(b) & ~mask));
}`,
  },
  with_sign_of: {
    needs: ["bits_of", "with_bits"],
    code: `INLINE part with_sign_of(part x, part magnitude) {
  return with_bits((bits_of(magnitude) & 0x7fffffffu) | (bits_of(x) & 0x80000000u));
}`,
  },
  part_nearest: {
    needs: ["choose", "with_sign_of"],
    code: `#ifdef __FAST_MATH__
#error "rounding needs exact arithmetic: compile without -ffast-math"
#endif
/* Halves to even: a sum with 2^23 has no fraction. What is larger has none before. */
INLINE part part_nearest(part x) {
#if defined(USE_AVX)
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(USE_NEON)
  return vrndnq_f32(x);
#else
  const part magnitude = with_bits(bits_of(x) & 0x7fffffffu);
  const part sum = magnitude + 8388608.f;
  const part rounded = sum - 8388608.f;
  return choose(MASK(magnitude < 8388608.f), with_sign_of(x, rounded), x);
#endif
}`,
  },
  part_floor: {
    needs: ["part_nearest"],
    code: `INLINE part part_floor(part x) {
  const part rounded = part_nearest(x);
  return choose(MASK(rounded > x), rounded - 1.f, rounded);
}`,
  },
  part_ceil: {
    needs: ["part_nearest"],
    code: `INLINE part part_ceil(part x) {
  const part rounded = part_nearest(x);
  return choose(MASK(rounded < x), with_sign_of(x, rounded + 1.f), rounded);
}`,
  },
  v8_load: {
    code: `INLINE v8 v8_load(const float *from) {
  v8 x;
  for (int i = 0; i < PARTS; i++) x.parts[i] = *(const part_in_memory *)(const void *)(from + i * PART_LANES);
  return x;
}`,
  },
  v8_held: {
    code: `/* Stays in a register: GCC would rather load it again for every sum, which took 1.7 times as long. */
INLINE v8 v8_held(v8 x) {
#if !defined(USE_SCALAR)
  for (int i = 0; i < PARTS; i++) __asm__("" : ANY_REGISTER(x.parts[i]));
#endif
  return x;
}`,
  },
  v8_store: {
    code: `INLINE void v8_store(float *to, v8 x) {
  for (int i = 0; i < PARTS; i++) *(part_in_memory *)(void *)(to + i * PART_LANES) = x.parts[i];
}`,
  },
  v8_store_first: {
    needs: ["v8_store"],
    code: `/* Only the first lanes. */
INLINE void v8_store_first(float *to, v8 x, int count) {
  float lanes[8];
  v8_store(lanes, x);
  for (int i = 0; i < count; i++) to[i] = lanes[i];
}`,
  },
  v8_splat: {
    code: `INLINE v8 v8_splat(float x) {
  v8 all;
  for (int i = 0; i < PARTS; i++) all.parts[i] = x - (part){0};
  return all;
}`,
  },
  v8_first: {
    needs: ["v8_store"],
    code: `/* The first lane. */
INLINE float v8_first(v8 x) {
  float lanes[8];
  v8_store(lanes, x);
  return lanes[0];
}`,
  },
  v8_add: { code: binary("add", "a.parts[i] + b.parts[i]") },
  v8_subtract: { code: binary("subtract", "a.parts[i] - b.parts[i]") },
  v8_multiply: { code: binary("multiply", "a.parts[i] * b.parts[i]") },
  v8_divide: { code: binary("divide", "a.parts[i] / b.parts[i]") },
  v8_pseudo_max: { needs: ["choose"], code: extreme("max", "a.parts[i] < b.parts[i]") },
  v8_pseudo_min: { needs: ["choose"], code: extreme("min", "b.parts[i] < a.parts[i]") },
  v8_multiply_add: {
    code: `/* a * b + c, rounded once where the machine can. */
INLINE v8 v8_multiply_add(v8 a, v8 b, v8 c) {
  for (int i = 0; i < PARTS; i++) {
#if defined(USE_AVX) && defined(__FMA__)
    c.parts[i] = _mm256_fmadd_ps(a.parts[i], b.parts[i], c.parts[i]);
#elif defined(USE_NEON)
    c.parts[i] = vfmaq_f32(c.parts[i], a.parts[i], b.parts[i]);
#elif defined(USE_SCALAR) && defined(__FP_FAST_FMAF)
    c.parts[i] = __builtin_fmaf(a.parts[i], b.parts[i], c.parts[i]);
#else
    c.parts[i] = a.parts[i] * b.parts[i] + c.parts[i];
#endif
  }
  return c;
}`,
  },
  multiply_add: {
    code: `INLINE float multiply_add(float a, float b, float c) {
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}`,
  },
  pseudo_max: {
    code: `INLINE float pseudo_max(float a, float b) {
  return a < b ? b : a;
}`,
  },
  pseudo_min: {
    code: `INLINE float pseudo_min(float a, float b) {
  return b < a ? b : a;
}`,
  },
  v8_negate: { code: unary("negate", "-x.parts[i]") },
  v8_absolute: {
    needs: ["bits_of", "with_bits"],
    code: unary("absolute", "with_bits(bits_of(x.parts[i]) & 0x7fffffffu)"),
  },
  v8_square_root: {
    code: `INLINE v8 v8_square_root(v8 x) {
  for (int i = 0; i < PARTS; i++) {
#if defined(USE_AVX)
    x.parts[i] = _mm256_sqrt_ps(x.parts[i]);
#elif defined(USE_SSE)
    x.parts[i] = _mm_sqrt_ps(x.parts[i]);
#elif defined(USE_NEON)
    x.parts[i] = vsqrtq_f32(x.parts[i]);
#else
    x.parts[i] = sqrtf(x.parts[i]);
#endif
  }
  return x;
}`,
  },
  v8_nearest: { needs: ["part_nearest"], code: unary("nearest", "part_nearest(x.parts[i])") },
  v8_floor: { needs: ["part_floor"], code: unary("floor", "part_floor(x.parts[i])") },
  v8_ceil: { needs: ["part_ceil"], code: unary("ceil", "part_ceil(x.parts[i])") },
  v8_truncate: {
    needs: ["part_floor"],
    code: `INLINE v8 v8_truncate(v8 x) {
  for (int i = 0; i < PARTS; i++) {
    const part magnitude = with_bits(bits_of(x.parts[i]) & 0x7fffffffu);
    x.parts[i] = with_sign_of(x.parts[i], part_floor(magnitude));
  }
  return x;
}`,
  },
  v8_power_of_two: {
    needs: ["bits_of", "with_bits"],
    code: `/* 2^x: a sum with 1.5 * 2^23 holds the integer x + 127 in its last bits. */
${unary("power_of_two", "with_bits(bits_of(x.parts[i] + 12583039.f) << 23)")}`,
  },
  v8_exponent: {
    needs: ["bits_of", "with_bits"],
    code: `/* The e of x = m * 2^e, 1 <= m < 2: the bits of 2^23 + 127 + e, less what is too much. */
${unary("exponent", "with_bits((bits_of(x.parts[i]) >> 23) | 0x4b000000u) - 8388735.f")}`,
  },
  v8_mantissa: {
    needs: ["bits_of", "with_bits"],
    code: `/* The m of x = m * 2^e, 1 <= m < 2. */
${unary("mantissa", "with_bits((bits_of(x.parts[i]) & 0x7fffffu) | 0x3f800000u)")}`,
  },
  v8_select_less: { needs: ["choose"], code: select("less", "<") },
  v8_select_less_or_equal: { needs: ["choose"], code: select("less_or_equal", "<=") },
  v8_select_equal: { needs: ["choose"], code: select("equal", "==") },
  v8_select_not_equal: { needs: ["choose"], code: select("not_equal", "!=") },
};

function unary(name: UnaryName, value: string): string {
  return `INLINE v8 v8_${name}(v8 x) {
  for (int i = 0; i < PARTS; i++) x.parts[i] = ${value};
  return x;
}`;
}

function binary(name: BinaryName, value: string): string {
  return `INLINE v8 v8_${name}(v8 a, v8 b) {
  for (int i = 0; i < PARTS; i++) a.parts[i] = ${value};
  return a;
}`;
}

/** The instruction of x86 gives its second operand where one is NaN, or both are equal. */
function extreme(name: "max" | "min", isSecond: string): string {
  return `/* a, or b where ${isSecond.replaceAll(".parts[i]", "")}. */
INLINE v8 v8_pseudo_${name}(v8 a, v8 b) {
  for (int i = 0; i < PARTS; i++) {
#if defined(USE_AVX)
    a.parts[i] = _mm256_${name}_ps(b.parts[i], a.parts[i]);
#elif defined(USE_SSE)
    a.parts[i] = _mm_${name}_ps(b.parts[i], a.parts[i]);
#else
    a.parts[i] = choose(MASK(${isSecond}), b.parts[i], a.parts[i]);
#endif
  }
  return a;
}`;
}

function select(name: ComparisonName, operator: string): string {
  return `/* Lane by lane x where a ${operator} b, else y. */
INLINE v8 v8_select_${name}(v8 a, v8 b, v8 x, v8 y) {
  for (int i = 0; i < PARTS; i++) {
    x.parts[i] = choose(MASK(a.parts[i] ${operator} b.parts[i]), x.parts[i], y.parts[i]);
  }
  return x;
}`;
}
