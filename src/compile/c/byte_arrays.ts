import type { CIdentifier } from "../../text/destinations.js";

/**
 * Numbers as string literals: compilers read them 10 to 60 times as fast as the same numbers in decimal, in a fraction of the
 * memory. C99 promises 4,095 characters in a literal and in a line, so an array has rows that are literals of their own.
 */
const ROW = 4092;
const PIECE = 372;

/** Weights of more bytes in all are written so; fewer stay numbers, which also machines with the other order of bytes read. */
export const MOST_NUMBER_BYTES = 2 ** 18;

/** Bytes of several elements are in the order of little-endian machines. */
export const littleEndianOnly = `#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "these weights are written for little-endian machines"
#endif
#endif`;

/** Rows are filled to their ends, which newer compilers remark. */
const fullRows = `#if defined(__clang__)
#if __has_warning("-Wunterminated-string-initialization")
#pragma clang diagnostic ignored "-Wunterminated-string-initialization"
#endif
#elif defined(__GNUC__) && __GNUC__ >= 15
#pragma GCC diagnostic ignored "-Wunterminated-string-initialization"
#endif`;

export interface ByteArray {
  readonly name: CIdentifier;
  /** What is read from it, as "float". */
  readonly element: string;
  readonly count: number;
  /** Bytes of all elements. */
  readonly size: number;
}

/** "union NAME { unsigned char rows[3][4092]; float values[3000]; };" */
export function byteArrayType({ name, element, count, size }: ByteArray): string {
  const rows = Math.max(1, Math.ceil(size / ROW));
  return `union ${name} {\n  unsigned char rows[${rows}][${ROW}];\n  ${element} values[${count}];\n};`;
}

/** An array of that type, without its content. */
export const byteArray = (name: CIdentifier): string => `const union ${name} ${name}`;

/** Its elements, as an expression. */
export const byteArrayValues = (name: CIdentifier): string => `${name}.values`;

/** Definitions of such arrays, whose types are known. @param qualifier "static" or nothing */
export function byteArrayDefinitions(
  arrays: readonly { readonly name: CIdentifier; readonly bytes: Uint8Array }[],
  qualifier: "static " | "",
): string {
  const definitions = arrays.map(
    ({ name, bytes }) => `${qualifier}${byteArray(name)} = {${byteArrayContent(bytes)}};`,
  );
  return [fullRows, ...definitions].join("\n\n");
}

/** The rows; behind the bytes are zeros. */
function byteArrayContent(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let from = 0; from < Math.max(1, bytes.length); from += ROW)
    rows.push(rowLiteral(bytes.subarray(from, from + ROW)));
  return `{\n${rows.join(",\n")}\n}`;
}

function rowLiteral(row: Uint8Array): string {
  const pieces: string[] = [];
  for (let from = 0; from < Math.max(1, row.length); from += PIECE)
    pieces.push(pieceLiteral(row.subarray(from, from + PIECE)));
  return pieces.join("\n");
}

function pieceLiteral(bytes: Uint8Array): string {
  let text = "";
  bytes.forEach((byte, index) => {
    const printed = printable[byte];
    if (printed !== undefined) text += printed;
    else text += isDigit(bytes[index + 1]) ? longEscapes[byte] : shortEscapes[byte];
  });
  return `"${text}"`;
}

/** Whether a byte would be read as part of the escape before it. */
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

const allBytes = Array.from({ length: 256 }, (_, byte) => byte);

/** Letters and signs that stand for themselves in a literal; a question mark could begin a trigraph. */
const printable = allBytes.map((byte) => {
  const letter = String.fromCharCode(byte);
  return byte > 0x1f && byte < 0x7f && !'"\\?'.includes(letter) ? letter : undefined;
});
const shortEscapes = allBytes.map((byte) => `\\${byte.toString(8)}`);
const longEscapes = allBytes.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`);
