import type { PenniError } from "../graph/errors.js";
import type { Bell } from "./bell.js";

/** How long something is waited for that may come later. */
export interface Patience {
  /** Milliseconds, or Infinity. */
  readonly limitMs: number;
  /** Ends the waiting when it rings. */
  readonly bell: Bell;
  /** Told what is waited for, at once and every minute, and when it is there. */
  readonly notice: (text: string) => void;
}

/** Something that is not there yet. */
export class Missing {
  /**
   * @param what says what is waited for, and why
   * @param error why nobody waits any longer
   */
  constructor(
    readonly what: string,
    readonly error: (after: string) => PenniError,
  ) {}
}

/** Between two looks. */
const LOOK_MS = 500;
/** Between two times that it is said what is waited for. */
const REMINDER_MS = 60_000;

/**
 * Looks for something until it is there.
 * @param arrived said when it was waited for, and has come
 * @returns undefined where the bell has rung before
 * @throws PenniError when the time is over; whatever `look` throws
 */
export async function whenThere<Found>(
  look: () => Promise<Found | Missing>,
  arrived: string,
  { limitMs, bell, notice }: Patience,
): Promise<Found | undefined> {
  const started = performance.now();
  for (let said = Number.NEGATIVE_INFINITY; !bell.hasRung; ) {
    const found = await look();
    if (!(found instanceof Missing)) {
      if (said > 0) notice(arrived);
      return found;
    }
    const now = performance.now();
    if (now - started >= limitMs) throw found.error(limitMs === 0 ? "" : `after ${limitMs / 1000} s`);
    if (now - said >= REMINDER_MS) {
      notice(found.what);
      said = now;
    }
    await bell.wait(Math.min(LOOK_MS, limitMs - (now - started)));
  }
  return undefined;
}
