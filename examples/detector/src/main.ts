import { type Box, findBoxes } from "penni/boxes";
import { readPicture } from "penni/pictures";
import loadModel from "./model.onnx?penni";

const find = <Kind extends Element>(selector: string): Kind => {
  const element = document.querySelector<Kind>(selector);
  if (element === null) throw new Error(`the page has no ${selector}`);
  return element;
};
const file = find<HTMLInputElement>("#file");
const canvas = find<HTMLCanvasElement>("#picture");
const answer = find<HTMLUListElement>("#answer");
const context = canvas.getContext("2d");
if (context === null) throw new Error("this browser has no canvas");
const drawing: CanvasRenderingContext2D = context;

const model = await loadModel();
file.disabled = false;
file.addEventListener("change", async () => {
  const [chosen] = file.files ?? [];
  if (chosen === undefined) return;
  const picture = await readPicture(chosen);
  canvas.width = picture.width;
  canvas.height = picture.height;
  drawing.putImageData(new ImageData(Uint8ClampedArray.from(picture.data), canvas.width), 0, 0);
  canvas.hidden = false;
  show(findBoxes(model, picture, { leastScore: 0.4 }));
});

function show(found: readonly Box[]): void {
  drawing.lineWidth = Math.max(2, canvas.width / 200);
  drawing.strokeStyle = "orangered";
  for (const { left, top, width, height } of found) drawing.strokeRect(left, top, width, height);
  const lines = found.map(({ name, score, left, top, width, height }) => {
    const place = [left, top].map(Math.round).join(", ");
    const size = [width, height].map(Math.round).join(" x ");
    return `${name}: ${(100 * score).toFixed(0)} % at ${place}, ${size}`;
  });
  if (lines.length === 0) lines.push("Nothing was found.");
  answer.replaceChildren(...lines.map(lineOf));
}

function lineOf(text: string): HTMLLIElement {
  const line = document.createElement("li");
  line.textContent = text;
  return line;
}
