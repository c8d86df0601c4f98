/** Billions of floating-point operations a second, two for each product. */
export function gigaflops(multiplyAccumulates: number, ms: number): number {
  return (2 * multiplyAccumulates) / (ms * 1e6);
}
