/** What the example's page is made of besides the module, below the folder of the sources: penni/runtime and penni/pictures. */
export const exampleParts = ["runtime/index.js", "runtime/pictures.js"] as const;
