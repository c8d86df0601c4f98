import { useEffect, useState } from "preact/hooks";
import { at } from "../../../src/graph/at.js";
import type { BasisView } from "../../../src/report/data/kernel_view.js";
import { compact, percent } from "../../../src/report/format.js";
import { coefficientsOf } from "../actions/compile.js";
import { variant, version } from "../state.js";
import type { Pixels } from "../worker/network_calls.js";
import { PixelImage } from "./canvas.js";

/** The basis kernels of every layer as pictures. */
export function Kernels() {
  if (variant.value === undefined) return null;
  const { kernels } = variant.value;
  return (
    <section aria-labelledby="kernels">
      <h2 id="kernels">Kernels</h2>
      {kernels.length === 0 ? (
        <p class="note">No layer shares basis kernels with these settings.</p>
      ) : (
        <p class="note">
          Every kernel of a layer is a sum of its basis kernels. Blue is positive, orange negative; below each
          stands the share of the layer's kernels that use it.
        </p>
      )}
      <div class="kernels">
        {kernels.map((view) => (
          <KernelCard key={view.name} view={view} />
        ))}
      </div>
    </section>
  );
}

function KernelCard({ view }: { readonly view: BasisView }) {
  const { name, K, C, R, S, d, basis, uses, nonZeros } = view;
  return (
    <article>
      <h3 class="layer-name">{name}</h3>
      <p class="note kernel-text">
        {`${compact(K * C)} kernels of ${R} \u00d7 ${S} on ${d}; ${percent(nonZeros / (K * C * d), 0)} of the coefficients left`}
      </p>
      <ul class="strip">
        {basis.map((values, index) => (
          <li key={index}>
            <KernelPicture
              values={values}
              rows={R}
              columns={S}
              label={`Basis kernel ${index + 1} of ${name}`}
            />
            <small class="use">{percent(at(uses, index) / (K * C), 0)}</small>
          </li>
        ))}
      </ul>
      <Coefficients view={view} />
    </article>
  );
}

interface KernelPictureProps {
  readonly values: readonly number[];
  readonly rows: number;
  readonly columns: number;
  readonly label: string;
}

function KernelPicture({ values, rows, columns, label }: KernelPictureProps) {
  const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return (
    <svg viewBox={`0 0 ${columns} ${rows}`} role="img" aria-label={label}>
      {values.map((value, at) => (
        <rect
          key={at}
          class={value > 0 ? "plus" : "minus"}
          x={at % columns}
          y={Math.floor(at / columns)}
          width={1}
          height={1}
          opacity={most === 0 ? 0 : Math.abs(value) / most}
        />
      ))}
    </svg>
  );
}

/** Pixels of the screen for a coefficient, at most. */
const LARGEST_POINT = 8;

/** Which coefficients are left, once somebody wants to see it. */
function Coefficients({ view: { name, K, C, d, nonZeros } }: { readonly view: BasisView }) {
  const [isOpen, setOpen] = useState(false);
  const [pixels, setPixels] = useState<Pixels>();
  const of = version.value;
  useEffect(() => {
    if (!isOpen) return;
    let isWanted = true;
    coefficientsOf(name).then(
      (found) => isWanted && of === version.peek() && setPixels(found),
      () => setPixels(undefined),
    );
    return () => {
      isWanted = false;
    };
  }, [isOpen, name, of]);
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{`${K} \u00d7 ${C * d} coefficients`}</summary>
      {pixels !== undefined && (
        <PixelImage
          widest={LARGEST_POINT * pixels.width}
          class="map"
          pixels={pixels}
          label={`Coefficients of ${name}: ${nonZeros} of ${K * C * d} are not zero`}
        />
      )}
    </details>
  );
}
