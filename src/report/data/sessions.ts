import { appendFile, readFile } from "node:fs/promises";
import { arch, cpus, platform, release, totalmem } from "node:os";
import path from "node:path";
import { z } from "zod";
import { ioError } from "../../files/atomic.js";

/** A file of lines: each time that a command worked on the run. */
const SESSIONS = "sessions.jsonl";

const sessionSchema = z.object({
  /** ISO 8601. */
  started: z.string(),
  /** The words of the command line, "penni" first. */
  command: z.array(z.string()),
  machine: z.object({
    system: z.string(),
    processor: z.string(),
    cores: z.number(),
    memoryBytes: z.number(),
  }),
  versions: z.object({ penni: z.string(), node: z.string() }),
});

/** Who worked on a run: which command, where. */
export type Session = z.infer<typeof sessionSchema>;

/** @param args without node and script */
export function sessionOf(args: readonly string[], penni: string): Session {
  const processors = cpus();
  return {
    started: new Date().toISOString(),
    command: ["penni", ...args],
    machine: {
      system: `${platform()} ${release()} (${arch()})`,
      processor: processors[0]?.model.trim() ?? "unknown",
      cores: processors.length,
      memoryBytes: totalmem(),
    },
    versions: { penni, node: process.versions.node },
  };
}

/** @throws PenniError "io" if the line cannot be appended */
export async function appendSession(root: string, session: Session): Promise<void> {
  const file = path.join(root, SESSIONS);
  try {
    await appendFile(file, `${JSON.stringify(session)}\n`);
  } catch (error) {
    throw ioError(file, "cannot append to the file", error);
  }
}

/** What is there and can be read, in order. */
export async function readSessions(root: string): Promise<readonly Session[]> {
  const text = await readFile(path.join(root, SESSIONS), "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    try {
      const session = sessionSchema.safeParse(JSON.parse(line));
      return session.success ? [session.data] : [];
    } catch {
      return [];
    }
  });
}
