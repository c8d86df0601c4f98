import { milliseconds, times } from "../../../src/report/format.js";
import { compileAndRace } from "../actions/compile.js";
import { compiled, compiling, network, pictures, type ShownPicture, taking } from "../state.js";
import type { Race, RaceTime, Seen } from "../worker/runtime_calls.js";
import { Answers, Boxes, isAnswer } from "./answers.js";
import { Camera } from "./camera.js";
import { PixelImage } from "./canvas.js";
import { errorText } from "./error_text.js";
import { WorkNote } from "./work_note.js";

/** The original in ONNX Runtime against what Penni makes of it, side by side. */
export function RaceSection() {
  if (network.value === undefined) return null;
  const isBusy = compiling.value.progress !== undefined || taking.value.progress !== undefined;
  const race = compiled.value?.race;
  return (
    <section aria-labelledby="race">
      <h2 id="race">Race it</h2>
      <p class="note">
        The original in ONNX Runtime Web against the changed one compiled to WebAssembly: in this browser, on
        one thread each, by turns.
      </p>
      <button type="button" onClick={() => void compileAndRace()} disabled={isBusy}>
        {race === undefined ? "Compile and race" : "Race again"}
      </button>
      <WorkNote work={compiling.value} />
      {race !== undefined && compiled.value !== undefined && (
        <Result race={race} seconds={compiled.value.seconds} />
      )}
      <div class="gallery">
        {pictures.value.map((picture, index) => (
          <PictureCard key={picture.name} picture={picture} seen={race?.seen[index]} />
        ))}
      </div>
      {race !== undefined && network.value.pictures !== undefined && <Camera />}
    </section>
  );
}

/** What is right of the longest range; rounds beyond it, in which the machine did something else, stand at the end. */
const ROOM = 1.15;

function Result({
  race: { original, compiled: changed, agreement, note },
  seconds,
}: {
  readonly race: Race;
  readonly seconds: number;
}) {
  const most = ROOM * Math.max(original.medianMs, original.highMs, changed.medianMs, changed.highMs);
  const isFaster = changed.medianMs <= original.medianMs;
  const error = agreement.error === undefined ? "" : ` Error of the output: ${errorText(agreement.error)}.`;
  return (
    <article class="result">
      <p class="headline" role="status">
        <strong>
          {isFaster
            ? `${times(original.medianMs, changed.medianMs)} as fast`
            : `${times(changed.medianMs, original.medianMs)} slower`}
        </strong>
        {` ${isFaster ? "as" : "than"} the original. Compiled in ${seconds.toFixed(1)} s.${error}`}
      </p>
      <Lane name="Original, ONNX Runtime Web" time={original} most={most} />
      <Lane name="Changed, compiled by Penni" time={changed} most={most} />
      <p class="note">
        {`Medians of ${original.runs} and ${changed.runs} runs for one input; points are the medians of ${changed.roundsMs.length} rounds, the range is where the median lies with 95\u202f% confidence.`}
      </p>
      {note !== undefined && <p class="note">{note}</p>}
    </article>
  );
}

function Lane({
  name,
  time: { medianMs, lowMs, highMs, roundsMs },
  most,
}: {
  readonly name: string;
  readonly time: RaceTime;
  readonly most: number;
}) {
  return (
    <div class="lane">
      <span>{name}</span>
      <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" x={0} y={2} width={100} height={2} />
        <rect class="median" x={0} y={1} width={(100 * medianMs) / most} height={4} />
        {roundsMs.map((ms, index) => (
          <rect
            key={index}
            class="round"
            x={Math.min(99.6, (100 * ms) / most - 0.2)}
            y={0}
            width={0.4}
            height={6}
          />
        ))}
      </svg>
      <span class="time">
        {milliseconds(medianMs)} <small>{`${milliseconds(lowMs)} to ${milliseconds(highMs)}`}</small>
      </span>
    </div>
  );
}

interface PictureCardProps {
  readonly picture: ShownPicture;
  readonly seen: { readonly original: Seen; readonly compiled: Seen } | undefined;
}

function PictureCard({ picture: { name, pixels }, seen }: PictureCardProps) {
  return (
    <figure>
      <div class="framed">
        <PixelImage class="picture" pixels={pixels} label={name} />
        {seen !== undefined && <Boxes {...seen} width={pixels.width} height={pixels.height} />}
      </div>
      <figcaption>
        {seen === undefined || !isAnswer(seen.original) ? <small>{name}</small> : <Answers {...seen} />}
      </figcaption>
    </figure>
  );
}
