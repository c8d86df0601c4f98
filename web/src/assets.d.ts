declare module "*.onnx?url" {
  const url: string;
  export default url;
}

declare module "*.wasm?url" {
  const url: string;
  export default url;
}

declare module "*.css";

/** JavaScript that the page of a compiled network holds. */
declare module "virtual:penni-example-parts" {
  const texts: readonly string[];
  export default texts;
}
