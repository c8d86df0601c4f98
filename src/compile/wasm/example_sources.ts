/**
 * JavaScript of the example's page behind that of example_answers.ts: pictures from files, what is dropped or pasted, and the
 * camera, with `readPicture` and `pixelsOf` of penni/pictures.
 */
export const sourcesScript = `/** Longest side of the picture that is shown, in pixels; the network's comes from all of them. */
const LONGEST_SHOWN = 1280;
/** What is read aloud of a camera, not more often than so many milliseconds. */
const QUIET_MS = 3000;

/** Counts what was asked: answers to what came before are dropped. */
let question = 0;
/** The camera that is on, and the last frame that was answered. */
let stream;
let last;

/** A picture's file, from wherever it came. */
async function answer(file, name) {
  const mine = ++question;
  stopCamera();
  fail("");
  element("main").ariaBusy = "true";
  try {
    const image = await readPicture(file).catch(() => undefined);
    if (mine !== question) return;
    if (image === undefined) fail(unreadable(file, name));
    else await show(image, plain(name));
  } catch (error) {
    fail("The network gave no answer: " + error.message);
  }
  if (mine === question) element("main").ariaBusy = "false";
}

function unreadable({ type, size }, name) {
  const found = size === 0 ? "it is empty" : (type || "of no known type") + ", " + size + " bytes";
  return name + " is no picture that this browser can read (" + found + "). " +
    "Expected JPEG, PNG, WebP, GIF or AVIF: save it as one of these.";
}

/** The picture, at once what the network makes of it, and then how long that takes. */
async function show(image, name) {
  const mine = question;
  await draw(image);
  element("picture").ariaLabel = name;
  element("note").textContent = name + ", " + image.width + " \\u00d7 " + image.height;
  await pause();
  if (mine !== question) return;
  if (isClassifier) {
    const scores = model.classify(image);
    showScores(scores);
    tell(name + ": " + inWords(scores));
    await pause();
    if (mine !== question) return;
  }
  const boxes = isDetector ? boxesOrNone(image) : undefined;
  if (boxes !== undefined) {
    showBoxes(boxes, image);
    tell(name + ": " + boxesInWords(boxes));
    await pause();
    if (mine !== question) return;
  }
  const input = model.prepare(image);
  showRun(() => model.run(input));
  if (!isClassifier && !isDetector) tell(name + ": the outputs are in the table.");
}

/** Nothing where the numbers are no boxes after all: from then on they are shown as numbers, with the reason. */
function boxesOrNone(image) {
  try {
    return findBoxes(model, image);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    isDetector = false;
    element("reason").textContent = plain("No boxes are drawn: " + error.message + ".");
    element("numbers").open = true;
  }
}

async function draw({ width, height, data }) {
  const scale = Math.min(1, LONGEST_SHOWN / Math.max(width, height));
  const bitmap = await createImageBitmap(new ImageData(data, width, height), {
    resizeWidth: Math.ceil(scale * width),
    resizeHeight: Math.ceil(scale * height),
    resizeQuality: "high",
  });
  const canvas = element("picture");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  see("picture");
}

/** One of what can stand in the frame. */
function see(id) {
  for (const each of ["drop", "picture", "video"]) element(each).hidden = each !== id;
}

/** The first picture of some files, or else the first file, which then is said to be none. */
function answerFirst(files, missing) {
  const file = [...files].find(({ type }) => type.startsWith("image/")) ?? files[0];
  if (file === undefined) fail(missing);
  else answer(file, file.name || "The picture");
}

const NOTHING = "There is no picture in the clipboard: copy one first.";

async function paste() {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((each) => each.startsWith("image/"));
      if (type !== undefined) return answer(await item.getType(type), "The pasted picture");
    }
    fail(NOTHING);
  } catch (error) {
    fail("The clipboard cannot be read here (" + error.message + "): press Ctrl+V or Command+V instead.");
  }
}

const cameraProblems = {
  NotAllowedError: "It was not allowed.",
  NotFoundError: "There is none.",
  NotReadableError: "Another program uses it.",
};

async function startCamera() {
  const mine = ++question;
  fail(navigator.mediaDevices ? "" : "The camera cannot be used. Only pages from https, localhost or a file have one.");
  if (!navigator.mediaDevices) return;
  try {
    const found = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (mine !== question) return end(found);
    [stream, last] = [found, undefined];
    for (const track of found.getTracks()) track.addEventListener("ended", () => stream === found && leaveCamera());
    element("camera").textContent = "Stop the camera";
    element("note").textContent = "The camera is on.";
    tell("The camera is on.");
    element("numbers").hidden = isClassifier || isDetector;
    const video = element("video");
    video.srcObject = found;
    await video.play();
    see("video");
    await watch(found, video);
  } catch (error) {
    if (mine !== question) return;
    stopCamera();
    see("drop");
    fail("The camera cannot be used. " + (cameraProblems[error.name] ?? error.message));
  }
}

const end = (ended) => ended.getTracks().forEach((track) => track.stop());

function stopCamera() {
  if (stream === undefined) return;
  end(stream);
  stream = undefined;
  element("video").srcObject = null;
  element("camera").textContent = "Use the camera";
}

/** Stops, and keeps the last frame as a picture. */
function leaveCamera() {
  question += 1;
  stopCamera();
  if (last === undefined) see("drop");
  else show(last, "The camera's last picture").catch((error) => fail(error.message));
  last = undefined;
}

function look(image) {
  if (isClassifier) return model.classify(image);
  const boxes = isDetector ? boxesOrNone(image) : undefined;
  return boxes === undefined ? model.run(model.prepare(image)) : boxes;
}

/** Frame by frame: the next one is taken when the last one has its answer, those in between are left out. */
async function watch(watched, video) {
  let [told, toldAt] = ["", -Infinity];
  while (stream === watched) {
    const frame = await createImageBitmap(video);
    const image = pixelsOf(frame);
    frame.close();
    if (stream !== watched) return;
    const begun = performance.now();
    const found = look(image);
    const passed = performance.now() - begun;
    last = image;
    if (isDetector) {
      // The frame that the boxes are of; the video is ahead of it.
      await draw(image);
      if (stream !== watched) return;
      showBoxes(found, image);
    } else if (isClassifier) showScores(found);
    else showNumbers(found);
    showTime("Each frame: " + milliseconds(passed) + ", with preparing it");
    const words = isDetector ? boxesInWords(found) : isClassifier ? inWords(found) : "";
    const gist = isDetector ? String(found.length) : isClassifier ? found[0].name : told;
    if (gist !== told && begun - toldAt > QUIET_MS) {
      tell(words);
      [told, toldAt] = [gist, begun];
    }
    await new Promise((resolve) => {
      // A video that is not shown may have no frames to call back for.
      if (video.requestVideoFrameCallback && !isDetector) video.requestVideoFrameCallback(resolve);
      else requestAnimationFrame(resolve);
    });
  }
}

function listen() {
  element("pictures").hidden = false;
  see("drop");
  element("file").addEventListener("change", ({ target }) => {
    answerFirst(target.files, "");
    target.value = "";
  });
  element("paste").hidden = navigator.clipboard?.read === undefined;
  element("paste").addEventListener("click", paste);
  element("camera").addEventListener("click", () => (stream === undefined ? startCamera() : leaveCamera()));
  document.addEventListener("paste", ({ clipboardData }) => answerFirst(clipboardData.files, NOTHING));
  const drag = (isOver) => document.body.classList.toggle("dragging", isOver);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drag(true);
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget === null && drag(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drag(false);
    answerFirst(event.dataTransfer.files, "What was dropped is no file: save the picture first, and drop that.");
  });
}

start().catch(({ message }) => {
  element("about").textContent = "";
  element("main").ariaBusy = "false";
  fail("The network cannot be run: " + message);
});
`;
