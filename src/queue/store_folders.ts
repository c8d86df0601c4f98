import { lstat, mkdir } from "node:fs/promises";
import path from "node:path";
import { damaged } from "./plain_files.js";
import { MARKER } from "./store_marker.js";

const SEEN_MS = 1000;
const MOST_SEEN = 10_000;

/** The folders of a store's directory, none of which may be a link. */
export class StoreFolders {
  /** Folders that were looked at, and when: what they are is not asked again for every file. */
  private readonly seen = new Map<string, number>();

  constructor(readonly root: string) {}

  /** @returns whether they are there @throws PenniError "bad-file" if one of the folders on the way is a link, or no folder */
  async areThere(names: readonly string[]): Promise<boolean> {
    let folder = this.root;
    for (const name of names) {
      folder = path.join(folder, name);
      if (this.wasSeen(folder)) continue;
      const stats = await lstat(folder).catch(() => undefined);
      if (stats === undefined) return false;
      if (!stats.isDirectory()) throw damaged(folder, "a link or file");
      this.see(folder);
    }
    return true;
  }

  /** A folder, made where it is missing. */
  async make(names: readonly string[]): Promise<string> {
    const folder = path.join(this.root, ...names);
    if (this.wasSeen(folder)) return folder;
    await this.checkMounted();
    if (await this.areThere(names)) return folder;
    await mkdir(folder, { recursive: true });
    this.see(folder);
    return folder;
  }

  /** What is written into an empty mount point is lost. @throws the system's error */
  async checkMounted(): Promise<void> {
    await lstat(path.join(this.root, MARKER));
  }

  private wasSeen(folder: string): boolean {
    const at = this.seen.get(folder);
    return at !== undefined && performance.now() - at < SEEN_MS;
  }

  private see(folder: string): void {
    if (this.seen.size > MOST_SEEN) this.seen.clear();
    this.seen.set(folder, performance.now());
  }
}
