/** Entry of a trial's process, started by a sweep (`src/sweep/embedded.ts`): one command line of Penni, then it ends. */

import { surviveLostTerminal } from "../run/training/lost_terminal.js";
import { STOP } from "../sweep/embedded.js";
import { endWithParent } from "./parent.js";
import { runCommandLine } from "./program.js";
import { standardStream } from "./standard_streams.js";

const STOPPED = 143;

surviveLostTerminal();
process.on("message", (message) => {
  // As SIGTERM, which not every system has; before there is anything to keep the process just ends.
  if (message === STOP && !process.emit("SIGTERM", "SIGTERM")) process.exit(STOPPED);
});
endWithParent();
const out = standardStream(process.stdout);
const err = standardStream(process.stderr);
process.exitCode = await runCommandLine(process.argv.slice(2), out, err);
