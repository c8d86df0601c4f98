import { readPicture } from "penni/pictures";
import type { ImageLike } from "penni/runtime";
import loadModel from "./model.onnx?penni";

const find = <Kind extends Element>(selector: string): Kind => {
  const element = document.querySelector<Kind>(selector);
  if (element === null) throw new Error(`the page has no ${selector}`);
  return element;
};
const file = find<HTMLInputElement>("#file");
const canvas = find<HTMLCanvasElement>("#picture");
const answer = find<HTMLOListElement>("#answer");

const model = await loadModel();
file.disabled = false;
file.addEventListener("change", async () => {
  const [chosen] = file.files ?? [];
  if (chosen === undefined) return;
  const picture = await readPicture(chosen);
  draw(picture);
  show(model.classify(picture).slice(0, 3));
});

function draw({ width, height, data }: ImageLike): void {
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d")?.putImageData(new ImageData(Uint8ClampedArray.from(data), width, height), 0, 0);
  canvas.hidden = false;
}

function show(scores: readonly { readonly name: string; readonly probability: number }[]): void {
  answer.replaceChildren(
    ...scores.map(({ name, probability }) => {
      const line = document.createElement("li");
      const bar = Object.assign(document.createElement("meter"), { value: probability });
      line.append(`${name}: ${(100 * probability).toFixed(1)} %`, bar);
      return line;
    }),
  );
}
