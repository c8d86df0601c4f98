import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { isatty } from "node:tty";

/**
 * Lets this process end with its own status after its terminal was closed: Node.js aborts when it finds at its end
 * that it cannot put a terminal back into the state it was in at the start.
 */
export function surviveLostTerminal(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.on("exit", () => {
    for (const fd of terminals) {
      if (isatty(fd)) continue;
      closeSync(fd);
      // The lowest number that is free, which is the same.
      openSync(devNull, "r+");
    }
  });
}
