export function manifest(kind: string): string {
  return kind;
}
