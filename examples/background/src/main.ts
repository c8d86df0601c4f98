import { classify } from "./classifier.js";

const find = <Kind extends Element>(selector: string): Kind => {
  const element = document.querySelector<Kind>(selector);
  if (element === null) throw new Error(`the page has no ${selector}`);
  return element;
};
const camera = find<HTMLVideoElement>("#camera");
const answer = find<HTMLOutputElement>("#answer");

find<HTMLButtonElement>("#start").addEventListener("click", async () => {
  camera.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  await camera.play();
  while (camera.srcObject !== null) {
    const [best] = await classify(frame());
    if (best !== undefined) answer.value = `${best.name}: ${(100 * best.probability).toFixed(0)} %`;
    await new Promise(requestAnimationFrame);
  }
});

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });

/** What the camera sees now. */
function frame(): ImageData {
  if (context === null) throw new Error("this browser has no canvas");
  canvas.width = camera.videoWidth;
  canvas.height = camera.videoHeight;
  context.drawImage(camera, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
