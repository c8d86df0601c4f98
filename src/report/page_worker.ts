/** A thread that makes pages, so that nobody waits while large networks are read: see `WorkerSource`. */

import { parentPort, workerData } from "node:worker_threads";
import { collectLargeGarbage } from "../execute/garbage.js";
import { messageOf } from "../graph/errors.js";
import type { LivePage } from "./shell.js";
import { ReportSource } from "./sources.js";

/** A page that is asked for. */
export interface PageRequest {
  readonly id: number;
  readonly live: LivePage | undefined;
}

/** The page, or why there is none. */
export type PageAnswer = { readonly id: number } & ({ readonly page: string } | { readonly problem: string });

const source = new ReportSource(workerData as readonly string[]);

async function answer({ id, live }: PageRequest): Promise<PageAnswer> {
  try {
    return { id, page: await source.page(live) };
  } catch (error) {
    return { id, problem: messageOf(error) };
  }
}

parentPort?.on("message", async (request: PageRequest) => {
  parentPort?.postMessage(await answer(request));
  // The networks that were read for the page, which would lie here until the next one.
  collectLargeGarbage();
});
