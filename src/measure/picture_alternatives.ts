import { imagenetPreprocessing, type Preprocessing } from "../data/preprocessing.js";

/** Another way to take pictures, and the options that ask for it. */
export interface Alternative {
  readonly options: string;
  readonly values: Pick<Preprocessing, "mean" | "std" | "scale" | "colour">;
}

type Normalization = Pick<Preprocessing, "mean" | "std" | "scale">;

const each = (value: number): number[] => [value, value, value];

/** What published networks were trained on. */
const usualNormalizations: readonly Normalization[] = [
  imagenetPreprocessing,
  { scale: 1 / 255, mean: each(0), std: each(1) },
  { scale: 1 / 255, mean: each(0.5), std: each(0.5) },
  { scale: 1, mean: each(0), std: each(1) },
  { scale: 1, mean: [123.675, 116.28, 103.53], std: each(1) },
];

/** The same with red and blue exchanged; nothing for grey pictures. */
export function otherOrder({ mean, std, scale, colour }: Preprocessing): readonly Alternative[] {
  if (mean.length === 1) return [];
  const other = colour === "rgb" ? "bgr" : "rgb";
  const values = { mean: mean.toReversed(), std: std.toReversed(), scale, colour: other } as const;
  return [{ options: `--color ${other}`, values }];
}

/** The usual ways to take pictures, in either order of colours. */
export function alternatives(preprocessing: Preprocessing): readonly Alternative[] {
  const { length } = preprocessing.mean;
  const usual = usualNormalizations.flatMap(({ mean, std, scale }): readonly Alternative[] => {
    const values = {
      mean: mean.slice(0, length),
      std: std.slice(0, length),
      scale,
      colour: preprocessing.colour,
    };
    const ordered = preprocessing.colour === "bgr" ? reversed(values) : values;
    const other = { ...reversed(ordered), colour: preprocessing.colour === "rgb" ? "bgr" : "rgb" } as const;
    return [
      { options: optionsOf(ordered), values: ordered },
      ...(length === 1 ? [] : [{ options: `--color ${other.colour} ${optionsOf(other)}`, values: other }]),
    ];
  });
  return [...otherOrder(preprocessing), ...usual];
}

function reversed<Values extends Normalization>(values: Values): Values {
  return { ...values, mean: values.mean.toReversed(), std: values.std.toReversed() };
}

function optionsOf({ mean, std, scale }: Normalization): string {
  const isPlain = mean.every((value) => value === 0) && std.every((value) => value === 1);
  const white = `--scale ${Math.round(255 * scale)}`;
  return isPlain && scale === 1 ? white : `${white} --mean ${mean.join(",")} --std ${std.join(",")}`;
}
