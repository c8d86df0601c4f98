import { parentPort, workerData } from "node:worker_threads";
import { load } from "penni/runtime";

const model = await load(workerData);

parentPort.on("message", (image) => {
  try {
    parentPort.postMessage({ scores: model.classify(image).slice(0, 5) });
  } catch (error) {
    parentPort.postMessage({ problem: String(error) });
  }
});
