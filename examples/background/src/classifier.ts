import type { ClassScore } from "penni/runtime";
import type { Answer, Question } from "./messages.js";

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const waiting = new Map<number, (answer: Answer) => void>();
let asked = 0;

worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
  waiting.get(data.id)?.(data);
  waiting.delete(data.id);
});

/** The most probable classes of an image, found in the background. The image's pixels are given away. */
export async function classify({ width, height, data }: ImageData): Promise<readonly ClassScore[]> {
  const id = asked++;
  const answer = await new Promise<Answer>((resolve) => {
    waiting.set(id, resolve);
    const question: Question = { id, image: { width, height, data } };
    worker.postMessage(question, [data.buffer]);
  });
  if ("problem" in answer) throw new Error(answer.problem);
  return answer.scores;
}
