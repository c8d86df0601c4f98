import { existsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { ioError } from "../files/atomic.js";
import { PenniError } from "../graph/errors.js";
import { removePartOfLine } from "../run/line_files.js";
import type { Summary } from "../run/summary.js";
import { parseJson, readText } from "../run/texts.js";
import { summarySchema } from "./summary_file.js";

const number = z.int().min(0);
const valuesSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const provenanceSchema = z.object({
  penni: z.string(),
  onnxruntime: z.string(),
  worker: z.string(),
  attempts: z.int().min(1),
});

/** A line of `trials.jsonl`: something that happened to a trial. */
export const sweepEventSchema = z.discriminatedUnion("event", [
  /** The trial exists; what the axes gave it, and all settings. */
  z.object({
    event: z.literal("asked"),
    number,
    values: valuesSchema,
    id: z.string(),
    settings: z.record(z.string(), z.unknown()),
  }),
  /** A search gave values that contradict each other: there is nothing to run. */
  z.object({ event: z.literal("refused"), number, values: valuesSchema, reason: z.string() }),
  z.object({ event: z.literal("started"), number }),
  /** The trial came to a rung with a value (null: none that is finite). */
  z.object({
    event: z.literal("rung"),
    number,
    rung: number,
    value: z.number().nullable(),
    goesOn: z.boolean(),
  }),
  z.object({ event: z.literal("stopped"), number, provenance: provenanceSchema }),
  /** A stopped trial goes on. */
  z.object({ event: z.literal("promoted"), number }),
  z.object({
    event: z.literal("done"),
    number,
    summary: summarySchema,
    provenance: provenanceSchema,
    /** The trial of the same id that was computed. */
    sameAs: number.optional(),
  }),
  z.object({
    event: z.literal("failed"),
    number,
    reason: z.string(),
    /** None of a trial that could not even be begun, as without its model. */
    attempts: z.int().min(0),
  }),
  /** A failed trial is to be tried again. */
  z.object({ event: z.literal("retried"), number }),
]);

export type SweepEvent = z.infer<typeof sweepEventSchema>;
export type DoneEvent = Extract<SweepEvent, { readonly event: "done" }> & { readonly summary: Summary };

/** `trials.jsonl`: appended to, never changed. A last line that a kill cut short never happened. */
export class Journal {
  private lines: string[] = [];
  /** The writing that is going on, and the one that begins behind it. */
  private current: Promise<void> | undefined;
  private following: Promise<void> | undefined;
  private failure: PenniError | undefined;

  private constructor(
    private readonly file: string,
    private readonly handle: FileHandle,
  ) {}

  /** Opens it for appending; only for whoever has locked the sweep. @throws PenniError "io" */
  static async open(file: string): Promise<Journal> {
    await removePartOfLine(file);
    try {
      return new Journal(file, await open(file, "a"));
    } catch (error) {
      throw ioError(file, "cannot append to the file", error);
    }
  }

  /** What it says. @throws PenniError "bad-file" naming a line that is damaged */
  static async read(file: string): Promise<readonly SweepEvent[]> {
    if (!existsSync(file)) return [];
    const lines = (await readText(file)).split("\n").slice(0, -1);
    return lines.map((line, index) => {
      const event = sweepEventSchema.safeParse(parseJson(line));
      if (event.success) return event.data;
      throw new PenniError("bad-file", `line ${index + 1} of the sweep's journal is damaged`, {
        file,
        advice:
          "Remove the line and those after it: what they said of trials is found again in the trials' directories",
      });
    });
  }

  /** Appends in the order of the calls; it is written by `flush`. */
  append(event: SweepEvent): void {
    this.lines.push(`${JSON.stringify(event)}\n`);
  }

  /**
   * Waits until everything is on the disk. Whoever asks while it is being written waits for one writing with all others
   * that do: trials that end together cost one.
   * @throws PenniError "io"
   */
  flush(): Promise<void> {
    if (this.following !== undefined) return this.following;
    if (this.current === undefined) return this.write();
    const next = (): Promise<void> => {
      this.following = undefined;
      return this.write();
    };
    this.following = this.current.then(next, next);
    return this.following;
  }

  private write(): Promise<void> {
    this.current = this.writeLines().finally(() => {
      this.current = undefined;
    });
    return this.current;
  }

  private async writeLines(): Promise<void> {
    // Behind a line that is missing nothing may follow.
    if (this.failure !== undefined) throw this.failure;
    const lines = this.lines;
    this.lines = [];
    try {
      if (lines.length > 0) await this.handle.appendFile(lines.join(""));
      await this.handle.datasync();
    } catch (error) {
      this.failure = ioError(this.file, "cannot append to the file", error);
      throw this.failure;
    }
  }

  async close(): Promise<void> {
    await this.flush().catch(() => undefined);
    await this.handle.close();
  }
}
