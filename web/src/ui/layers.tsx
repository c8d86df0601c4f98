import { useState } from "preact/hooks";
import { orDefault } from "../../../src/graph/at.js";
import { elementCount } from "../../../src/graph/tensor.js";
import { laneCount } from "../../../src/report/data/lanes.js";
import type { Layer, NetworkRow } from "../../../src/report/data/network.js";
import { compact, percent } from "../../../src/report/format.js";
import { changeSettings } from "../actions/refresh.js";
import { MOST_SPARSITY, withLayer } from "../model/settings.js";
import type { LayerState } from "../model/views.js";
import { maker, network, settings, variant } from "../state.js";
import { Rail } from "./rail.js";
import { Slider } from "./slider.js";

/** The network from input to output, and what each layer costs. */
export function Layers() {
  const summary = network.value;
  if (summary === undefined) return null;
  const { rows, uncounted } = summary.rows;
  const lanes = laneCount(rows);
  const most = rows.reduce(
    (max, { layer }) => (layer === undefined ? max : Math.max(max, layer.before.macs)),
    1,
  );
  return (
    <section aria-labelledby="layers">
      <h2 id="layers">Layer by layer</h2>
      <p class="note">
        From input to output; lines show what reads what. A layer's dot grows with its multiply-accumulates
        and empties as they go. Choose a layer to give it settings of its own.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section class="scroll" aria-label="Table of layers" tabIndex={0}>
        <table class="layers">
          <thead>
            <tr>
              <th scope="col">
                <span class="hidden">Links</span>
              </th>
              <th scope="col">Layer</th>
              <th scope="col">
                <span class="wide-only">Multiply-accumulates</span>
                <abbr class="narrow-only" title="Multiply-accumulates">
                  MACs
                </abbr>
              </th>
              <th scope="col" class="number wide-only">
                Parameters
              </th>
              <th scope="col" class="number">
                d
              </th>
              <th scope="col" class="number">
                Sparsity
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <Row key={`${index} ${row.name}`} row={row} lanes={lanes} most={most} />
            ))}
          </tbody>
        </table>
      </section>
      {uncounted.length > 0 && (
        <p class="note">{`Not counted, because Penni does not know what they cost: ${uncounted.join(", ")}.`}</p>
      )}
    </section>
  );
}

interface RowProps {
  readonly row: NetworkRow;
  readonly lanes: number;
  readonly most: number;
}

function Row({ row, lanes, most }: RowProps) {
  const { layer, name, kind, detail } = row;
  if (layer === undefined)
    return (
      <tr class={kind}>
        <td class="rail-cell">
          <Rail row={row} lanes={lanes} size={0} removed={0} />
        </td>
        <td colSpan={5}>
          <small>{kind === "join" ? detail : `${kind} ${name}, ${detail}`}</small>
        </td>
      </tr>
    );
  return <LayerRow {...{ row, lanes, most, layer }} />;
}

function LayerRow({ row, lanes, most, layer }: RowProps & { readonly layer: Layer }) {
  const { name } = row;
  const [isOpen, setOpen] = useState(false);
  const hasSay = layer.op === "Conv" && maker.value === "sliders";
  const isOwn = hasSay && isOpen;
  const after = variant.value?.layers[name];
  const { macs } = layer.before;
  // A layer that is gone has no state; until something was computed none has.
  const left = variant.value === undefined ? macs : orDefault(after?.macs, 0);
  const dims = layer.weightDims === undefined ? "" : ` ${layer.weightDims.join("\u00d7")}`;
  return (
    <>
      <tr>
        <td class="rail-cell" rowSpan={isOwn ? 2 : 1}>
          <Rail
            row={row}
            lanes={lanes}
            size={macs / most}
            removed={macs === 0 ? 0 : Math.max(0, 1 - left / macs)}
          />
        </td>
        <th scope="row">
          {hasSay ? (
            <button
              type="button"
              class="link layer-name"
              aria-expanded={isOpen}
              onClick={() => setOpen(!isOpen)}
            >
              {name}
            </button>
          ) : (
            <span class="layer-name">{name}</span>
          )}
          <small>{`${layer.op}${dims}`}</small>
        </th>
        <td class="cost">
          <span
            class="bar"
            style={{ "--before": `${(100 * macs) / most}%`, "--after": `${(100 * left) / most}%` }}
            aria-hidden="true"
          />
          <small>
            {variant.value === undefined ? compact(macs) : `${compact(macs)} \u2192 ${compact(left)}`}
          </small>
        </td>
        <td class="number wide-only">{compact(after?.parameters ?? layer.before.parameters)}</td>
        <td class="number">{after?.basis ?? "\u2013"}</td>
        <td class="number">{sparsityOf(layer, after)}</td>
      </tr>
      {isOwn && (
        <tr class="own">
          <td colSpan={5}>
            <OwnSettings name={name} layer={layer} />
          </td>
        </tr>
      )}
    </>
  );
}

/** Zeros among what could be something: coefficients, or weights. */
function sparsityOf({ weightDims }: Layer, after: LayerState | undefined): string {
  if (after?.nonZeros === undefined || weightDims === undefined) return "\u2013";
  const { basis } = after;
  const all = basis === undefined ? elementCount(weightDims) : elementCount(weightDims.slice(0, 2)) * basis;
  return all === 0 ? "\u2013" : percent(1 - after.nonZeros / all, 0);
}

/** What the sliders say of one layer. */
function OwnSettings({ name, layer }: { readonly name: string; readonly layer: Layer }) {
  const own = settings.value.layers[name];
  return (
    <>
      {layer.reason === undefined ? (
        <OwnBasis name={name} layer={layer} />
      ) : (
        <p class="note">{layer.reason}</p>
      )}
      <Slider
        name="Sparsity"
        of={name}
        value={own?.sparsity ?? settings.value.sparsity}
        min={0}
        max={MOST_SPARSITY}
        step={0.01}
        text={own?.sparsity === undefined ? "as all" : percent(own.sparsity, 0)}
        onChange={(sparsity) => changeSettings(withLayer(settings.value, name, { sparsity }))}
      />
      {own !== undefined && (
        <button
          type="button"
          class="link"
          onClick={() =>
            changeSettings(withLayer(settings.value, name, { basis: undefined, sparsity: undefined }))
          }
        >
          As all
        </button>
      )}
    </>
  );
}

function OwnBasis({ name, layer }: { readonly name: string; readonly layer: Layer }) {
  const { mostBasis = 1 } = network.value ?? {};
  const own = settings.value.layers[name]?.basis;
  const basis = own ?? settings.value.basis;
  const kept = layer.energy?.[basis - 1];
  const energy = kept === undefined || basis >= mostBasis ? "" : `, ${percent(kept)} of the energy`;
  const size = basis >= mostBasis ? "kernels as they are" : `${basis}${energy}`;
  return (
    <Slider
      name="d"
      of={name}
      value={basis}
      min={1}
      max={mostBasis}
      step={1}
      text={own === undefined ? `as all: ${size}` : size}
      onChange={(value) => changeSettings(withLayer(settings.value, name, { basis: value }))}
    />
  );
}
