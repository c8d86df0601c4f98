import { existsSync, readFileSync } from "node:fs";
import { processMiB } from "./side.js";

/** Between two looks. */
const EVERY_MS = 100;

/** The most resident memory that a process and all that it has started had together, as far as looks find. Linux only. */
export class TreeMemory {
  private most = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(pid: number | undefined) {
    this.timer = setInterval(() => {
      this.most = Math.max(this.most, seenMiB(pid));
    }, EVERY_MS);
  }

  /** @returns mebibytes; 0 where the system does not tell */
  stop(): number {
    clearInterval(this.timer);
    return this.most;
  }
}

/** 0 where a process ends while it is looked at. */
function seenMiB(pid: number | undefined): number {
  try {
    return treeMiB(pid);
  } catch {
    return 0;
  }
}

function treeMiB(pid: number | undefined): number {
  const own = processMiB(pid, "VmRSS");
  if (own === undefined) return 0;
  return childrenOf(pid).reduce((sum, child) => sum + treeMiB(child), own);
}

function childrenOf(pid: number | undefined): readonly number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return [];
  const text = readFileSync(file, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
