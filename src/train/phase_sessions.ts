import type { Session } from "../execute/engine.js";
import { PenniError } from "../graph/errors.js";

/** Loading a session takes about as long as one or two of its steps; after so many it is worth its memory. */
const WORTH_LOADING_AGAIN = 100;

/**
 * The sessions of a stage's phases. A session keeps the memory that its largest step took for the next one, so two
 * phases take twice what one does: the session of a phase that has run for a while is released when another phase begins,
 * and loaded again when its turn comes.
 */
export class PhaseSessions {
  private phase = 0;
  /** That the present phase has run since it began. */
  private steps = 0;

  private constructor(
    private readonly openers: readonly (() => Promise<Session>)[],
    private readonly sessions: Map<number, Session>,
  ) {}

  /** Loads all sessions, so that a graph that the runtime refuses is known before training begins. */
  static async open(openers: readonly (() => Promise<Session>)[]): Promise<PhaseSessions> {
    const sessions = new Map<number, Session>();
    for (const [phase, open] of openers.entries()) sessions.set(phase, await open());
    return new PhaseSessions(openers, sessions);
  }

  /** The session that runs the next step of a phase. */
  async forStep(phase: number): Promise<Session> {
    // Loaded before the other one is released: a device's values must not outlive the last session.
    const session = this.sessions.get(phase) ?? (await this.load(phase));
    if (phase !== this.phase) await this.begin(phase);
    this.steps += 1;
    return session;
  }

  async release(): Promise<void> {
    for (const session of this.sessions.values()) await session.release();
    this.sessions.clear();
  }

  private async load(phase: number): Promise<Session> {
    const open = this.openers[phase];
    if (open === undefined) throw new PenniError("internal", `a training stage has no phase ${phase}`);
    const session = await open();
    this.sessions.set(phase, session);
    return session;
  }

  private async begin(phase: number): Promise<void> {
    const left = this.sessions.get(this.phase);
    if (left !== undefined && this.steps >= WORTH_LOADING_AGAIN) {
      this.sessions.delete(this.phase);
      await left.release();
    }
    this.phase = phase;
    this.steps = 0;
  }
}
