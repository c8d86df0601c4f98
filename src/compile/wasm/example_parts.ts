/** What the example's page is made of besides the module, below the folder of the sources: penni/runtime, penni/pictures and penni/boxes. */
export const exampleParts = ["runtime/index.js", "runtime/pictures.js", "runtime/boxes.js"] as const;
