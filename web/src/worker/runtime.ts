import { Tensor } from "onnxruntime-common";
import { detectorNote } from "../../../src/compile/detector_note.js";
import { imageDims } from "../../../src/data/preprocessing.js";
import type { Feeds, Session } from "../../../src/execute/engine.js";
import { at } from "../../../src/graph/at.js";
import type { Graph } from "../../../src/graph/types.js";
import { measureByTurns, type Timing } from "../../../src/measure/by_turns.js";
import { randomFeeds } from "../../../src/measure/random_feeds.js";
import { decodeModel } from "../../../src/onnx/read.js";
import { type ImageLike, load, type Model, type OutputData } from "../../../src/runtime/index.js";
import { pixelsOf } from "../../../src/runtime/pictures.js";
import { type Answer, agreementOf, bestClasses } from "../model/agreement.js";
import { boxesOf } from "../model/boxes.js";
import type { PictureInput } from "../model/network.js";
import { drawable, generatedPictures, numbersOf, splitOf } from "../model/pictures.js";
import { decodePictures } from "./decode_pictures.js";
import type { Pixels } from "./network_calls.js";
import { serve } from "./rpc.js";
import type { RaceTime, RuntimeCalls, Seen } from "./runtime_calls.js";
import { openSession } from "./sessions.js";
import { timedAsyncInGroups, timedInGroups } from "./timing.js";

/** Errors are measured on so many pictures, where they are cheap to run. */
const MOST_COMPARED = 64;
const FEWEST_COMPARED = 4;
const COMPARED_MACS = 2e9;
/** Pictures that are shown with what is seen in them. */
const MOST_SHOWN = 24;
const BEST = 3;
const ROUNDS = 15;

/** Whatever a compiled network gives. */
type Output = OutputData | Readonly<Record<string, OutputData>>;

/** The original, and what it is asked. */
interface Original {
  readonly session: Session;
  readonly graph: Graph;
  readonly input: PictureInput | undefined;
  readonly classNames: readonly string[] | undefined;
  /** How many pictures errors are measured on. */
  readonly compared: number;
  questions: readonly Feeds[];
  answers: readonly Answer[];
}

let original: Original | undefined;
let compiled: Model<Output> | undefined;

function opened(): Original {
  if (original === undefined) throw new Error("no network is loaded");
  return original;
}

async function answersOf(session: Session, questions: readonly Feeds[]): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const feeds of questions) answers.push(answerOf(await session.run(feeds)));
  return answers;
}

/** The float32 outputs, copied: the runtime reuses its memory. */
function answerOf(results: Feeds): Answer {
  return Object.fromEntries(
    Object.entries(results).flatMap(([name, { data, dims }]) =>
      data instanceof Float32Array ? [[name, { data: data.slice(), dims }] as const] : [],
    ),
  );
}

/** A picture as the network's one input. */
function feedsOf({ graph, input }: Original, numbers: Float32Array): Feeds {
  const { name } = at(graph.inputs, 0);
  if (input === undefined) throw new Error("the network takes no pictures");
  const { channels, height, width, format } = input;
  const dims = imageDims({ channels, height, width }, format.preprocessing);
  return { [name]: new Tensor("float32", numbers, [1, ...dims]) };
}

function compiledAnswer(model: Model<Output>, feeds: Feeds): Answer {
  const inputs = Object.fromEntries(
    Object.entries(feeds).map(([name, { data }]) => [name, data as Float32Array]),
  );
  const output = model.run(inputs);
  const named: Readonly<Record<string, OutputData>> = isOne(output)
    ? { [at(model.outputs, 0).name]: output }
    : output;
  return Object.fromEntries(
    model.outputs.flatMap(({ name, dims }) => {
      const data = named[name];
      return data instanceof Float32Array ? [[name, { data, dims }] as const] : [];
    }),
  );
}

const isOne = (output: Output): output is OutputData => ArrayBuffer.isView(output);

/** @param picture the size of a picture that is not yet as the network takes it */
function seenIn(answer: Answer, { classNames, input }: Original, picture?: ImageLike): Seen {
  const boxes = boxesOf(answer, classNames, input, picture);
  return {
    classes: bestClasses(answer, classNames, BEST),
    boxes: typeof boxes === "string" ? undefined : boxes,
  };
}

/** Why there are no boxes in an answer that may hold some. */
function noteOn(
  answer: Answer,
  { outputs }: Model<Output>,
  { classNames, input }: Original,
): string | undefined {
  const boxes = boxesOf(answer, classNames, input);
  return typeof boxes === "string" ? boxes : detectorNote({ outputs, classNames });
}

const pixels = ({ width, height, data }: ImageLike): Pixels => ({
  width,
  height,
  rgba: new Uint8Array(data),
});

function raceTime(timing: Timing | undefined): RaceTime {
  if (timing === undefined) throw new Error("a contender was not timed");
  const { medianMs, lowMs, highMs, runs, roundsMs } = timing;
  return { medianMs, lowMs, highMs, runs, roundsMs };
}

serve<RuntimeCalls>({
  async open({ plain, input, classNames, macs }) {
    await original?.session.release();
    [original, compiled] = [undefined, undefined];
    const session = await openSession(plain);
    const affordable = Math.floor(COMPARED_MACS / Math.max(1, macs));
    const compared = Math.min(MOST_COMPARED, Math.max(FEWEST_COMPARED, affordable));
    original = {
      session,
      graph: decodeModel(plain),
      input,
      classNames,
      compared,
      questions: [],
      answers: [],
    };
    return undefined;
  },
  async take(source, report) {
    const on = opened();
    const { input, compared, graph } = on;
    let shown: readonly Pixels[] = [];
    if (input === undefined) {
      on.questions = Array.from({ length: compared }, (_, seed) => randomFeeds(graph.inputs, seed));
    } else {
      const split =
        source.kind === "generated"
          ? generatedPictures(input, Math.min(source.count, compared))
          : await decodePictures(source.files.slice(0, compared), input, report);
      on.questions = numbersOf(split, input).map((numbers) => feedsOf(on, numbers));
      shown = Array.from({ length: Math.min(MOST_SHOWN, split.count) }, (_, index) =>
        pixels(drawable(split, index)),
      );
    }
    report({ text: "Running the original", share: undefined });
    on.answers = await answersOf(on.session, on.questions);
    return { shown };
  },
  async agree(plain) {
    const { graph, questions, answers } = opened();
    const session = await openSession(plain);
    try {
      return agreementOf(graph, answers, await answersOf(session, questions));
    } finally {
      await session.release();
    }
  },
  async race({ module }, report) {
    const on = opened();
    const { session, questions, answers } = on;
    const model = await load<Output>(module);
    compiled = model;
    const [first] = questions;
    if (first === undefined) throw new Error("there is nothing to run the networks on");
    const inputs = Object.fromEntries(
      Object.entries(first).map(([name, { data }]) => [name, data as Float32Array]),
    );
    const timings = await measureByTurns(
      [
        { engine: "original", sample: timedAsyncInGroups(() => session.run(first)) },
        { engine: "compiled", sample: timedInGroups(() => model.run(inputs)) },
      ],
      ROUNDS,
      (done, rounds) => report({ text: `Racing: round ${done} of ${rounds}`, share: done / rounds }),
    );
    const found = questions.map((feeds) => compiledAnswer(model, feeds));
    return {
      original: raceTime(timings[0]),
      compiled: raceTime(timings[1]),
      agreement: agreementOf(on.graph, answers, found),
      note: noteOn(at(answers, 0), model, on),
      seen: answers.slice(0, MOST_SHOWN).map((answer, index) => ({
        original: seenIn(answer, on),
        compiled: seenIn(at(found, index), on),
      })),
    };
  },
  async look(bitmap) {
    const on = opened();
    const { input, session } = on;
    if (input === undefined || compiled === undefined) throw new Error("there is no race to take part in");
    const frame = pixelsOf(bitmap);
    const feeds = feedsOf(on, at(numbersOf(splitOf(input, [frame]), input), 0));
    bitmap.close();
    const start = performance.now();
    const slow = answerOf(await session.run(feeds));
    const middle = performance.now();
    const fast = compiledAnswer(compiled, feeds);
    const end = performance.now();
    return {
      original: { seen: seenIn(slow, on, frame), ms: middle - start },
      compiled: { seen: seenIn(fast, on, frame), ms: end - middle },
      width: frame.width,
      height: frame.height,
    };
  },
});
