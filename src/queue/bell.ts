/** Lets somebody wait for a moment, and be called before it is over; what rang while nobody waited is not lost. */
export class Bell {
  private rung = false;
  private wake: () => void = () => undefined;

  /** Since `hear`, or at all. */
  get hasRung(): boolean {
    return this.rung;
  }

  ring(): void {
    this.rung = true;
    this.wake();
  }

  /** From now on only what rings later counts. */
  hear(): void {
    this.rung = false;
  }

  wait(milliseconds: number): Promise<void> {
    if (this.rung) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
