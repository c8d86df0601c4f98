import { placedSpec } from "../data/spec.js";
import { PenniError } from "../graph/errors.js";
import { dataFingerprint } from "../sweep/data_fingerprint.js";

/** A folder of the sweep's machine, and what it is on this one. */
export interface DataMap {
  readonly from: string;
  readonly to: string;
}

/** The specification as it is meant on this machine: the longest folder that is mapped decides. */
export function localSpec(spec: string, maps: readonly DataMap[]): string {
  const placed = placedSpec(spec);
  if (placed === undefined) return spec;
  const fitting = maps
    .filter(({ from }) => placed.place === from || placed.place.startsWith(`${from}/`))
    .sort((a, b) => b.from.length - a.from.length);
  const [map] = fitting;
  return map === undefined ? spec : `${placed.kind}${map.to}${placed.place.slice(map.from.length)}`;
}

/** @throws PenniError "bad-data" where these are other images than the sweep's */
export async function checkData(spec: string, fingerprint: string | null): Promise<void> {
  const found = await dataFingerprint(spec);
  if (found === (fingerprint ?? undefined)) return;
  throw new PenniError("bad-data", "these are not the images of the sweep", {
    file: spec,
    expected: `files with the digest ${short(fingerprint)}`,
    found: short(found),
    advice: "Copy them again, or say where they are: penni worker --data-map FROM=TO",
  });
}

const short = (digest: string | null | undefined): string => (digest ?? "none at all").slice(0, 16);
