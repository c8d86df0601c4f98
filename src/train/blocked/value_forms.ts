/**
 * A blocked value that stands for another one, which is this less its mean by channel: what is still to be subtracted is
 * kept beside it, as whoever reads it often needs no pass over memory for that.
 */
export interface Shifted {
  readonly value: string;
  /** By channel, [C]. */
  readonly mean: string;
}

/** What a value of the graph that is rewritten is called in the new one, in each form in which it is there. */
interface Forms {
  plain?: string;
  blocked?: string;
  shifted?: Shifted;
}

/** Under which names the values of the graph that is rewritten are to be found in the new one. */
export class ValueForms {
  private readonly forms = new Map<string, Forms>();

  /** [N, C, H, W], and whatever is no image. */
  plain(name: string): string | undefined {
    return this.forms.get(name)?.plain;
  }

  /** [N, C/b, H, W, b]. */
  blocked(name: string): string | undefined {
    return this.forms.get(name)?.blocked;
  }

  /** Blocked, with a mean to be subtracted yet. */
  shifted(name: string): Shifted | undefined {
    return this.forms.get(name)?.shifted;
  }

  set(name: string, form: Forms): void {
    this.forms.set(name, { ...this.forms.get(name), ...form });
  }
}
