#!/usr/bin/env node
import { surviveLostTerminal } from "../run/training/lost_terminal.js";
import { endWithParent } from "./parent.js";
import { runCommandLine } from "./program.js";
import { standardStream } from "./standard_streams.js";

surviveLostTerminal();
endWithParent();
const out = standardStream(process.stdout);
const err = standardStream(process.stderr);
process.exitCode = await runCommandLine(process.argv.slice(2), out, err);
