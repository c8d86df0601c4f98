import type { Signal } from "@preact/signals";
import { countOf } from "../../../src/graph/at.js";
import { messageOf } from "../../../src/graph/errors.js";
import { idle, type Work } from "../state.js";
import { type Progress, Stopped } from "../worker/rpc.js";

/** For each kind of work which of its beginnings was the last: what was begun before shows nothing any more. */
const begun = new Map<Signal<Work>, number>();

/** Does something and shows how far it is. @returns undefined where it failed, which is shown as well */
export async function doing<Result>(
  work: Signal<Work>,
  text: string,
  act: (report: (progress: Progress) => void) => Promise<Result>,
): Promise<Result | undefined> {
  const own = countOf(begun, work) + 1;
  begun.set(work, own);
  const tell = (now: Work): void => {
    if (begun.get(work) === own) work.value = now;
  };
  tell({ progress: { text, share: undefined }, failure: undefined });
  try {
    const result = await act((progress) => tell({ progress, failure: undefined }));
    tell(idle);
    return result;
  } catch (error) {
    tell(error instanceof Stopped ? idle : { progress: undefined, failure: messageOf(error) });
    return undefined;
  }
}
