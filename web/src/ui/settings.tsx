import { percent } from "../../../src/report/format.js";
import { calibrate, stopCalibration } from "../actions/calibrate.js";
import { changeSettings, show } from "../actions/refresh.js";
import { MOST_SPARSITY } from "../model/settings.js";
import { calibrated, calibrating, fraction, maker, network, settings, source } from "../state.js";
import { Slider } from "./slider.js";
import { WorkNote } from "./work_note.js";

/** How the network is changed. */
export function SettingsPanel() {
  if (network.value === undefined) return null;
  return (
    <section aria-labelledby="change">
      <h2 id="change">Change it</h2>
      <div class="makers">
        <SliderCard />
        <CalibrationCard />
      </div>
    </section>
  );
}

function SliderCard() {
  const { basis, sparsity } = settings.value;
  const { mostBasis = 1, hasKernels } = network.value ?? {};
  const isShown = maker.value === "sliders";
  return (
    <article class={isShown ? "maker shown" : "maker"}>
      <h3>By hand</h3>
      <p class="note">
        Kernels become sums of d basis kernels each layer shares, and the smallest coefficients become zero.
        Changes at once; no picture is needed.
      </p>
      <Slider
        name="Basis kernels, d"
        value={basis}
        min={1}
        max={mostBasis}
        step={1}
        text={basisText(basis)}
        disabled={hasKernels !== true}
        onChange={(value) => changeSettings({ ...settings.value, basis: value })}
      />
      <Slider
        name="Sparsity"
        value={sparsity}
        min={0}
        max={MOST_SPARSITY}
        step={0.01}
        text={percent(sparsity, 0)}
        onChange={(value) => changeSettings({ ...settings.value, sparsity: value })}
      />
      <OwnSettings />
      {!isShown && (
        <button type="button" class="secondary outline" onClick={() => show("sliders")}>
          Show this one
        </button>
      )}
    </article>
  );
}

function basisText(basis: number): string {
  const { mostBasis = 1, hasKernels } = network.value ?? {};
  if (hasKernels !== true) return "none to share";
  return basis >= mostBasis ? "kernels as they are" : `${basis} of ${mostBasis}`;
}

/** Says how many layers do not follow the sliders. */
function OwnSettings() {
  const count = Object.keys(settings.value.layers).length;
  if (count === 0) return null;
  return (
    <p>
      <small>{`${count === 1 ? "1 layer has" : `${count} layers have`} settings of ${count === 1 ? "its" : "their"} own. `}</small>
      <button type="button" class="link" onClick={() => changeSettings({ ...settings.value, layers: {} })}>
        All as above
      </button>
    </p>
  );
}

function CalibrationCard() {
  const made = calibrated.value;
  const isRunning = calibrating.value.progress !== undefined;
  const isShown = maker.value === "calibration";
  const takesPictures = network.value?.pictures !== undefined;
  const on =
    source.value.kind === "files" ? `your ${source.value.files.length} pictures` : "generated pictures";
  return (
    <article class={isShown ? "maker shown" : "maker"}>
      <h3>Calibrated</h3>
      <p class="note">
        Bases and coefficients are chosen so that the outputs stay what they are on pictures, without labels:
        far better than by hand, and it takes its time. More of your own pictures make it better.
      </p>
      <Slider
        name="Multiply-accumulates to keep"
        value={fraction.value}
        min={0.1}
        max={1}
        step={0.05}
        text={percent(fraction.value, 0)}
        disabled={isRunning || !takesPictures}
        onChange={(value) => {
          fraction.value = value;
        }}
      />
      {isRunning ? (
        <button type="button" class="secondary" onClick={stopCalibration}>
          Stop
        </button>
      ) : (
        <button type="button" onClick={() => void calibrate()} disabled={!takesPictures}>
          {`Calibrate on ${on}`}
        </button>
      )}
      {!takesPictures && <p class="note">This network does not take pictures.</p>}
      <WorkNote work={calibrating.value} />
      {made !== undefined && !isShown && (
        <button type="button" class="secondary outline" onClick={() => show("calibration")}>
          {`Show the one of ${percent(made.fraction, 0)}`}
        </button>
      )}
      {made !== undefined && isShown && (
        <p class="note">{`Shown: ${percent(made.fraction, 0)}, calibrated on ${made.pictures} pictures.`}</p>
      )}
    </article>
  );
}
