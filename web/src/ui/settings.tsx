import { percent } from "../../../src/report/format.js";
import { MOST_SPARSITY } from "../model/settings.js";
import {
  calibrate,
  calibrated,
  calibrating,
  changeSettings,
  fraction,
  maker,
  network,
  settings,
  show,
  source,
  stopCalibration,
} from "../state.js";
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
      <label>
        <span class="slider-name">
          Basis kernels, d{" "}
          <output>
            {hasKernels !== true
              ? "none to share"
              : basis >= mostBasis
                ? "kernels as they are"
                : `${basis} of ${mostBasis}`}
          </output>
        </span>
        <input
          type="range"
          min={1}
          max={mostBasis}
          step={1}
          value={basis}
          disabled={hasKernels !== true}
          onInput={({ currentTarget }) =>
            changeSettings({ ...settings.value, basis: currentTarget.valueAsNumber })
          }
        />
      </label>
      <label>
        <span class="slider-name">
          Sparsity <output>{percent(sparsity, 0)}</output>
        </span>
        <input
          type="range"
          min={0}
          max={MOST_SPARSITY}
          step={0.01}
          value={sparsity}
          onInput={({ currentTarget }) =>
            changeSettings({ ...settings.value, sparsity: currentTarget.valueAsNumber })
          }
        />
      </label>
      <OwnSettings />
      {!isShown && (
        <button type="button" class="secondary outline" onClick={() => show("sliders")}>
          Show this one
        </button>
      )}
    </article>
  );
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
      <label>
        <span class="slider-name">
          Multiply-accumulates to keep <output>{percent(fraction.value, 0)}</output>
        </span>
        <input
          type="range"
          min={0.1}
          max={1}
          step={0.05}
          value={fraction.value}
          disabled={isRunning || !takesPictures}
          onInput={({ currentTarget }) => {
            fraction.value = currentTarget.valueAsNumber;
          }}
        />
      </label>
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
