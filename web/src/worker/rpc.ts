import { messageOf, PenniError } from "../../../src/graph/errors.js";

/** How far something is: a share from 0 to 1, unknown where undefined. */
export interface Progress {
  readonly text: string;
  readonly share: number | undefined;
  readonly secondsLeft?: number | undefined;
}

export type Report = (progress: Progress) => void;

/** What a worker does: by name what it is given and what it answers. */
export type Calls<Names extends string = string> = Readonly<
  Record<Names, { readonly given: unknown; readonly answer: unknown }>
>;

interface Request {
  readonly id: number;
  readonly name: string;
  readonly given: unknown;
}

type Reply =
  | { readonly id: number; readonly kind: "progress"; readonly progress: Progress }
  | { readonly id: number; readonly kind: "answer"; readonly answer: unknown }
  | { readonly id: number; readonly kind: "failure"; readonly message: string };

export type Handlers<Done extends Calls> = {
  readonly [Name in keyof Done]: (
    given: Done[Name]["given"],
    report: Report,
  ) => Done[Name]["answer"] | Promise<Done[Name]["answer"]>;
};

/** The part of a worker's global scope that is used; the page's types do not have it. */
interface WorkerScope {
  addEventListener(type: "message", listener: (event: { readonly data: Request }) => void): void;
  postMessage(reply: Reply): void;
}

/** Answers calls, one after the other. */
export function serve<Done extends Calls>(handlers: Handlers<Done>): void {
  const scope = globalThis as unknown as WorkerScope;
  let last: Promise<void> = Promise.resolve();
  const answer = async ({ id, name, given }: Request): Promise<void> => {
    try {
      const handler = handlers[name];
      if (handler === undefined) throw new Error(`there is no call "${name}"`);
      const report: Report = (progress) => scope.postMessage({ id, kind: "progress", progress });
      scope.postMessage({ id, kind: "answer", answer: await handler(given, report) });
    } catch (error) {
      scope.postMessage({ id, kind: "failure", message: describeFailure(error) });
    }
  };
  scope.addEventListener("message", ({ data }) => {
    last = last.then(() => answer(data));
  });
}

/** A failure in words; what Penni throws says what to do next. */
export function describeFailure(error: unknown): string {
  if (error instanceof PenniError) return error.message;
  const text = messageOf(error);
  return /out of memory|allocation failed|Invalid typed array length|Array buffer allocation/i.test(text)
    ? `There is not enough memory for this in the browser (${text}). Use the command line: npx penni`
    : `Something went wrong that should not: ${text}`;
}

/** What calls fail with that were given up. */
export class Stopped extends Error {}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  readonly report: Report | undefined;
}

/** The page's end of a worker. */
export class Remote<Done extends Calls> {
  private worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;

  constructor(private readonly open: () => Worker) {
    this.worker = this.opened();
  }

  private opened(): Worker {
    const worker = this.open();
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.take(data));
    worker.addEventListener("error", ({ message }) =>
      this.failAll(
        new Error(
          `A part of the page stopped working: ${message || "it could not be loaded"}. Load the page again`,
        ),
      ),
    );
    return worker;
  }

  /** Gives up whatever it is doing, and what it knew: begins anew if it is doing something. */
  interrupt(): void {
    if (this.waiting.size === 0) return;
    this.end();
    this.worker = this.opened();
  }

  call<Name extends keyof Done & string>(
    name: Name,
    given: Done[Name]["given"],
    { report, transfer = [] }: { readonly report?: Report; readonly transfer?: Transferable[] } = {},
  ): Promise<Done[Name]["answer"]> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, report });
      this.worker.postMessage({ id, name, given } satisfies Request, transfer);
    });
  }

  /** Ends the worker; what it was asked for fails. */
  end(): void {
    this.worker.terminate();
    this.failAll(new Stopped("stopped"));
  }

  private take(reply: Reply): void {
    const waiting = this.waiting.get(reply.id);
    if (waiting === undefined) return;
    if (reply.kind === "progress") {
      waiting.report?.(reply.progress);
      return;
    }
    this.waiting.delete(reply.id);
    if (reply.kind === "answer") waiting.resolve(reply.answer);
    else waiting.reject(new Error(reply.message));
  }

  private failAll(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
