/** Dimensions for an input, by its name, as in "input:1x3x32x32"; undefined if the text is something else. */
export function namedShape(text: string): readonly [string, readonly number[]] | undefined {
  const colon = text.lastIndexOf(":");
  const dims = text
    .slice(colon + 1)
    .split("x")
    .map(Number);
  const isShape = colon > 0 && dims.every((dim) => Number.isSafeInteger(dim) && dim > 0);
  return isShape ? [text.slice(0, colon), dims] : undefined;
}
