declare module "*.onnx?url" {
  const url: string;
  export default url;
}

declare module "*.wasm?url" {
  const url: string;
  export default url;
}

declare module "*.css";

/** JavaScript of penni/runtime. */
declare module "virtual:penni-loader" {
  const text: string;
  export default text;
}
