import type { Answer, Question } from "./messages.js";
import loadModel from "./model.onnx?penni";

const model = loadModel();

addEventListener("message", async ({ data: { id, image } }: MessageEvent<Question>) => {
  try {
    const scores = (await model).classify(image);
    postMessage({ id, scores: scores.slice(0, 3) } satisfies Answer);
  } catch (error) {
    postMessage({ id, problem: String(error) } satisfies Answer);
  }
});
