/** What runs a model; the keys say what is compared with what. */
export const benchEngines = {
  compiled: "compiled WebAssembly",
  addon: "compiled addon",
  web: "onnxruntime-web (WebAssembly)",
  node: "ONNX Runtime for Node",
} as const;

export type BenchEngine = keyof typeof benchEngines;

/** Whether this is code of the compiler's, in one form or another. */
export function isCompiled({ kind }: { readonly kind: BenchEngine }): boolean {
  return kind === "compiled" || kind === "addon";
}
