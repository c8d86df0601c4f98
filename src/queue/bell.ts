/** Lets somebody wait for a moment, and be called before it is over; what rang while nobody waited is not lost. */
export class Bell {
  private hasRung = false;
  private wake: () => void = () => undefined;

  ring(): void {
    this.hasRung = true;
    this.wake();
  }

  /** From now on only what rings later counts. */
  hear(): void {
    this.hasRung = false;
  }

  wait(milliseconds: number): Promise<void> {
    if (this.hasRung) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
