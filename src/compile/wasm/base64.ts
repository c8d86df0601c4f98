/** Of the host: browsers, Node and Deno have it. */
declare function btoa(binary: string): string;

/** A multiple of three, so that parts can follow each other, and not too many arguments for one call. */
const PART = 3 * 2 ** 13;

/** Bytes as text. */
export function base64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let from = 0; from < bytes.length; from += PART) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(from, from + PART))));
  }
  return parts.join("");
}
