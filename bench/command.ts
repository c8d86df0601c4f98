import { type Command, CommanderError } from "commander";
import { PenniError } from "../src/graph/errors.js";

/** Runs a benchmark's command line: errors become one line on stderr and exit status 1. */
export async function runBenchmark(program: Command): Promise<void> {
  program.exitOverride().configureOutput({ writeErr: () => undefined });
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    process.stderr.write(`${program.name()}: ${describe(error)}\n`);
    process.exitCode = 1;
  }
}

function describe(error: unknown): string {
  if (error instanceof CommanderError) return error.message.replace(/^error: /, "");
  return error instanceof PenniError ? error.message : String(error);
}
