import { ioError } from "../files/atomic.js";
import { present } from "../graph/at.js";
import type { PenniError } from "../graph/errors.js";
import { terminalText } from "../text/destinations.js";

/** A stream that commands write to: the terminal, a pipe, a file, or a test's buffer. */
export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number | undefined;
}

/**
 * What commands print to. Nothing that a terminal would act on gets through, and no failure ends the work: the first
 * one is kept, and `finish` tells it.
 */
export class Output {
  private failure: Error | undefined;
  private isQuiet = false;
  private hasWritten = false;

  /** @param stream as it is, for what moves the cursor itself */
  constructor(
    readonly stream: OutputStream,
    private readonly name: string,
  ) {
    stream.on("error", (error) => {
      this.failure ??= error;
    });
  }

  /** From now on only what `insist` is called with gets through, and there is no terminal to draw progress on. */
  beQuiet(): void {
    this.isQuiet = true;
  }

  get isTTY(): boolean {
    return this.stream.isTTY === true && !this.isQuiet;
  }

  get columns(): number | undefined {
    return this.stream.columns;
  }

  /** Whether nothing was written yet. */
  get isEmpty(): boolean {
    return !this.hasWritten;
  }

  write(text: string): void {
    if (!this.isQuiet) this.insist(text);
  }

  /** Writes what must be seen even by somebody who wants no progress: errors. */
  insist(text: string): void {
    this.hasWritten = true;
    this.stream.write(terminalText(text));
  }

  /**
   * Waits until everything is written.
   * @returns why not everything could be. A reader that closes the pipe early (`penni inspect MODEL | head`) has seen
   *   enough: that is no error.
   */
  async finish(): Promise<PenniError | undefined> {
    await new Promise<void>((resolve) => this.stream.write("", () => resolve()));
    const { failure } = this;
    if (failure === undefined || ("code" in failure && failure.code === "EPIPE")) return undefined;
    return ioError(this.name, "not everything could be printed", failure);
  }
}

/** What a command needs to know of its surroundings. */
export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
}

/** Characters in a line of the output: the terminal's, or COLUMNS; no limit for pipes and files. */
export function lineWidth(output: Pick<OutputStream, "isTTY" | "columns">): number {
  const fromEnvironment = Number(process.env.COLUMNS);
  if (Number.isInteger(fromEnvironment) && fromEnvironment > 0) return fromEnvironment;
  return output.isTTY === true && output.columns !== undefined ? output.columns : Number.POSITIVE_INFINITY;
}

/** Breaks every line of a text at spaces, so that none is longer than `width` (words are not broken). */
export function wrap(text: string, width: number): string {
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    const [first, ...words] = line.split(" ");
    let current = present(first);
    for (const word of words) {
      if (current.length + 1 + word.length > width) {
        lines.push(current);
        current = word;
      } else {
        current = `${current} ${word}`;
      }
    }
    lines.push(current);
  }
  return lines.join("\n");
}
