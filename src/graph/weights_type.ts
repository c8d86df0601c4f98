/** How a file holds weights. Arithmetic is float32 whatever this is. */
export const weightsTypes = ["float32", "float16", "int8"] as const;
export type WeightsType = (typeof weightsTypes)[number];
