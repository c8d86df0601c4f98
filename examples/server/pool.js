import { Worker } from "node:worker_threads";

/** Threads with a model each; a picture goes to the first that is free. */
export class Pool {
  #free;
  #waiting = [];
  #threads;

  constructor(model, size) {
    const file = new URL("./thread.js", import.meta.url);
    this.#threads = Array.from({ length: size }, () => new Worker(file, { workerData: model }));
    this.#free = [...this.#threads];
  }

  /** The most probable classes of an image. Its pixels are given away. */
  async classify(image) {
    const thread = this.#free.pop() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
    try {
      return await ask(thread, image);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(thread);
      else next(thread);
    }
  }

  async close() {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

function ask(thread, image) {
  return new Promise((resolve, reject) => {
    const done = () => {
      thread.off("message", answered);
      thread.off("error", failed);
    };
    const answered = ({ scores, problem }) => {
      done();
      if (problem === undefined) resolve(scores);
      else reject(new Error(problem));
    };
    const failed = (error) => {
      done();
      reject(error);
    };
    thread.on("message", answered);
    thread.on("error", failed);
    thread.postMessage(image, [image.data.buffer]);
  });
}
