import { UNSEEN } from "../../text/destinations.js";

/**
 * JavaScript of the example's page below the texts of penni/runtime and penni/pictures, and of a detector penni/boxes: the network,
 * and how its answers are shown. A network's texts and names of files only ever become text of the page, never HTML.
 */
export const answersScript = `const element = (id) => document.getElementById(id);
const MOST_SHOWN = 5;
const MOST_BOXES = 20;
const MOST_VALUES = 6;

let model;
/** Whether its answer is a row of scores. */
let isClassifier = false;
/** Whether it is boxes around what is in a picture. */
let isDetector = false;

/** Whatever would change how text is read without being seen becomes a sign that is. */
const plain = (text) => text.replace(${UNSEEN}, "\\ufffd");

function make(tag, content = [], type = "") {
  const made = document.createElement(tag);
  made.className = type;
  made.append(...[content].flat());
  return made;
}

/** For whoever listens to the page. */
function tell(text) {
  element("status").textContent = text;
}

function fail(text) {
  element("problem").textContent = plain(text);
  element("problem").hidden = text === "";
}

/** Lets the page show what there is so far. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

const count = ({ dims }) => dims.reduce((all, dim) => all * dim, 1);

async function start() {
  const text = element("module").textContent;
  const module = await fetch("data:application/wasm;base64," + text);
  element("module").remove();
  model = await load(await module.arrayBuffer());
  const port = ({ name, dims, type }) => plain(name) + ": " + type + " [" + dims.join(", ") + "]";
  const [from, to] = [model.inputs, model.outputs].map((ports) => ports.map(port).join(", "));
  element("about").textContent = from + " \\u2192 " + to;
  const blank = { width: 1, height: 1, data: new Uint8ClampedArray(4) };
  const problem = problemOf(() => model.prepare(blank));
  const isRow = problem === undefined && model.outputs.length === 1 && count(model.outputs[0]) > 1;
  isClassifier = isRow && problemOf(() => model.classify(blank)) === undefined;
  isDetector = problem === undefined && typeof findBoxes === "function";
  element("numbers").open = !isClassifier && !isDetector;
  element("main").ariaBusy = "false";
  if (problem === undefined) return listen();
  element("note").textContent = "It takes no pictures: " + plain(problem) + ".";
  element("random").addEventListener("click", () => answerNumbers(noise()));
  element("random").hidden = false;
  answerNumbers(noise());
}

function problemOf(work) {
  try {
    work();
  } catch (error) {
    return error.message;
  }
}

/** Numbers between -1 and 1; 0 or 1 where whole ones are asked for, which also are indices. */
function noise() {
  const random = ({ type }) => (/int|bool/.test(type) ? Math.round(Math.random()) : 2 * Math.random() - 1);
  return Object.fromEntries(
    model.inputs.map((port) => [port.name, Float32Array.from({ length: count(port) }, () => random(port))]),
  );
}

function answerNumbers(input) {
  showRun(() => model.run(input));
  tell("The outputs for random numbers are in the table.");
}

/** Milliseconds that runs are repeated for, and how many there are at most. */
const WATCHED_MS = 400;
const MOST_RUNS = 100;

/** A run's output, and the median time of the later half of as many as fit into a moment: browsers make code faster as it runs. */
function showRun(run) {
  const begun = performance.now();
  const times = [];
  let output;
  for (let [last, now] = [begun, begun]; now - begun < WATCHED_MS && times.length < MOST_RUNS; last = now) {
    output = run();
    now = performance.now();
    times.push(now - last);
  }
  showNumbers(output);
  const later = times.slice(Math.floor(times.length / 2)).sort((a, b) => a - b);
  const made = later.length > 1 ? ", median of " + later.length : "";
  showTime("One inference: " + milliseconds(later[Math.floor(later.length / 2)]) + made);
}

/** The steps in which browsers give the time to a page opened from disk. */
const LEAST_MS = 0.1;

const milliseconds = (ms) =>
  ms < LEAST_MS ? "less than " + LEAST_MS + " ms" : ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0) + " ms";

function showTime(text) {
  element("time").textContent = text + (model.relaxed ? " (relaxed SIMD)" : "");
}

const percent = ({ probability }) => (100 * probability).toFixed(1) + " %";

/** What a class is called, or which it is. */
const classOf = ({ name, index }) => (model.classNames === undefined ? "class " + index : plain(name));

/** The most probable classes, or boxes, as bars. */
function showScores(scores, most = MOST_SHOWN) {
  const list = element("scores");
  const best = scores.slice(0, most);
  while (list.children.length < best.length) {
    const bar = make("span", make("span"), "bar");
    list.append(make("li", [make("bdi"), make("span", [], "share"), bar]));
  }
  while (list.children.length > best.length) list.lastChild.remove();
  best.forEach((score, index) => {
    const [label, share, bar] = list.children[index].children;
    label.textContent = classOf(score);
    share.textContent = percent(score);
    bar.firstChild.style.width = 100 * score.probability + "%";
  });
  element("hint").hidden = true;
}

/** What was found, and where it is on the picture that is shown. */
function showBoxes(boxes, image) {
  showScores(boxes.map(({ index, name, score }) => ({ index, name, probability: score })), MOST_BOXES);
  element("hint").textContent = boxes.length === 0 ? "Nothing was found in this picture." : boxes.length + " found";
  element("hint").hidden = false;
  const canvas = element("picture");
  const context = canvas.getContext("2d");
  const scale = canvas.width / image.width;
  const size = Math.max(canvas.width, canvas.height) / 45;
  context.font = "600 " + size + "px system-ui, sans-serif";
  context.textBaseline = "top";
  context.lineWidth = size / 6;
  for (const box of boxes.slice(0, MOST_BOXES).reverse()) {
    const [left, top, width, height] = [box.left, box.top, box.width, box.height].map((each) => scale * each);
    const text = classOf(box) + " " + percent({ probability: box.score });
    // The golden angle: neighbours differ most.
    context.strokeStyle = context.fillStyle = "hsl(" + ((22 + 137.5 * box.index) % 360) + " 90% 45%)";
    context.strokeRect(left, top, width, height);
    const above = Math.max(0, top - 1.4 * size);
    context.fillRect(left - size / 12, above, context.measureText(text).width + 0.6 * size, 1.4 * size);
    context.fillStyle = "#fff";
    context.fillText(text, left + 0.3 * size, above + 0.2 * size);
  }
}

const boxesInWords = (boxes) =>
  boxes.length === 0 ? "nothing was found" : boxes.length + " found: " + inWords(boxes.map((box) => ({ ...box, probability: box.score })));

const inWords = (scores) =>
  scores
    .slice(0, 3)
    .map((score) => classOf(score) + " " + percent(score))
    .join(", ");

const digits = (value) =>
  (Number.isInteger(value) ? String(value) : value.toPrecision(4)).replace("-", "\\u2212");

function rangeOf(values) {
  let [least, most, others] = [Infinity, -Infinity, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) others += 1;
    else [least, most] = [Math.min(least, value), Math.max(most, value)];
  }
  const range = least <= most ? digits(least) + " to " + digits(most) : "";
  return range + (others > 0 ? " (" + others + " not finite)" : "");
}

/** @param output as the model's run gives it */
function showNumbers(output) {
  const rows = model.outputs.map(({ name, dims }) => {
    const values = ArrayBuffer.isView(output) ? output : output[name];
    const heading = make("th", [make("bdi", plain(name)), make("small", dims.join(" \\u00d7 ") || "one number")]);
    heading.scope = "row";
    const first = Array.from(values.subarray(0, MOST_VALUES), digits).join(", ");
    return make("tr", [
      heading,
      make("td", rangeOf(values)),
      make("td", first + (values.length > MOST_VALUES ? ", \\u2026" : "")),
    ]);
  });
  element("rows").replaceChildren(...rows);
  element("numbers").hidden = false;
  if (!isDetector) element("hint").hidden = true;
}
`;
