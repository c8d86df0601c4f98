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
  if (chosen !== undefined) show(model.classify(await pixelsOf(chosen)).slice(0, 3));
});

/** The picture, upright, as the page shows it. */
async function pixelsOf(chosen: File): Promise<ImageData> {
  const picture = await createImageBitmap(chosen);
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no canvas");
  context.drawImage(picture, 0, 0);
  canvas.hidden = false;
  return context.getImageData(0, 0, canvas.width, canvas.height);
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
