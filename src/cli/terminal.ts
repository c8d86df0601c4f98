/** A stream that commands write to: the terminal, a pipe, a file, or a test's buffer. */
export interface Output extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What a command needs to know of its surroundings. */
export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
}

/** Exit status of a program that Ctrl-C ended: 128 + SIGINT. */
export const INTERRUPTED_STATUS = 130;

/** Characters in a line of the output: the terminal's, or COLUMNS; no limit for pipes and files. */
export function lineWidth(output: Output): number {
  const fromEnvironment = Number(process.env.COLUMNS);
  if (Number.isInteger(fromEnvironment) && fromEnvironment > 0) return fromEnvironment;
  return output.isTTY === true && output.columns !== undefined ? output.columns : Number.POSITIVE_INFINITY;
}

/** A reader that closes the pipe early (`penni inspect MODEL | head`) is no error. */
export function ignoreClosedPipe(output: Output): void {
  output.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

/** Breaks every line of a text at spaces, so that none is longer than `width` (words are not broken). */
export function wrap(text: string, width: number): string {
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    let current: string | undefined;
    for (const word of line.split(" ")) {
      if (current !== undefined && current.length + 1 + word.length > width) {
        lines.push(current);
        current = word;
      } else {
        current = current === undefined ? word : `${current} ${word}`;
      }
    }
    lines.push(current ?? "");
  }
  return lines.join("\n");
}
