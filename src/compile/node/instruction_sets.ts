/** Instructions that the kernels are compiled for once more. */
export interface InstructionSet {
  readonly name: string;
  /** What GCC and Clang are told. */
  readonly options: readonly string[];
  /** Features of the processor, by the names of `__builtin_cpu_supports`, that the operating system also keeps. */
  readonly needs: readonly string[];
}

const BASELINE: InstructionSet = { name: "baseline", options: [], needs: [] };

const x86: readonly InstructionSet[] = [
  {
    name: "avx512",
    options: "-mavx512f -mavx512vl -mavx512bw -mavx512dq -mavx2 -mfma -mtune=skylake-avx512".split(" "),
    needs: ["avx512f", "avx512vl", "avx512bw", "avx512dq", "avx2", "fma"],
  },
  { name: "avx2", options: "-mavx2 -mfma -mtune=haswell".split(" "), needs: ["avx2", "fma"] },
];

/** All that an addon can have beside its baseline, which is SSE2 on x86-64 and NEON on aarch64. */
export const furtherSets = x86;

/** What an addon for a processor has, the best first. */
export function instructionSetsOf(processor: string): readonly InstructionSet[] {
  return processor === "x86_64" ? [...x86, BASELINE] : [BASELINE];
}
