/** Types of models that are imported as modules: "types": ["penni/vite/client"] in tsconfig.json. */

declare module "*?penni" {
  /** Where the compiled WebAssembly module is. */
  export const url: string;
  /** Loads the compiled model: `load` of penni/runtime with this model's place. */
  export default function load<
    Output extends
      | import("penni/runtime").OutputData
      | Readonly<Record<string, import("penni/runtime").OutputData>> = Float32Array,
  >(options?: import("penni/runtime").LoadOptions): Promise<import("penni/runtime").Model<Output>>;
}

/** With settings in front: "./model.onnx?input=x:1x3x224x224&penni". */
declare module "*&penni" {
  export * from "*?penni";
  export { default } from "*?penni";
}
