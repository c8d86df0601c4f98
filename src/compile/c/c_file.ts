/** A file to be written: text, or bytes as they are. */
export interface CFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}
