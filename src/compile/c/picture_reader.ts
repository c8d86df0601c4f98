import { imageAxes } from "../../graph/image_input.js";
import { imagenetPreprocessing, type Preprocessing, readPreprocessing } from "../../graph/image_metadata.js";
import { floatLiteral } from "./numbers.js";
import type { CUnit } from "./source.js";

/** The one input of a network as a picture. */
export interface PictureInput extends Preprocessing {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** How the network takes pictures, if it takes one and nothing else. */
export function pictureInput({ ports, program }: CUnit): PictureInput | undefined {
  const [input, ...more] = ports.inputs;
  if (input === undefined || more.length > 0) return undefined;
  const stated = readPreprocessing(program.metadata);
  const preprocessing = stated ?? imagenetPreprocessing;
  const { batch, channels, height, width } = imageAxes(input.shape, preprocessing.layout) ?? {};
  if (batch !== 1 || channels !== preprocessing.mean.length) return undefined;
  if (typeof height !== "number" || typeof width !== "number") return undefined;
  return { ...preprocessing, channels, height, width };
}

/** Headers that `pictureReader` needs beside those of the example. */
export const PICTURE_HEADERS: readonly string[] = ["ctype.h", "stdint.h", "string.h"];

/**
 * C that reads a binary PPM image of any size as the network wants it: `imageLevels` and `inputValue` of src/runtime,
 * with the same integers, so to the bit. Uses `fail`, `memory` and `read_all` of the example.
 */
export function pictureReader(picture: PictureInput): string {
  const { channels, height, width, mean, std, scale, layout, colour, resize } = picture;
  const plane = height * width;
  const list = (values: readonly number[]): string => values.map(floatLiteral).join(", ");
  const channel = colour === "bgr" ? `${channels - 1} - colour` : "colour";
  const place = layout === "NHWC" ? `${channels} * pixel + channel` : `${plane} * channel + pixel`;
  const level = "level_of(sums[at], total)";
  return `static void skip_line(FILE *file) {
  int letter = fgetc(file);
  while (letter != '\\n' && letter != EOF) letter = fgetc(file);
}

/* A number of a PPM header, behind white space and comments. */
static int header_number(FILE *file) {
  int letter = fgetc(file);
  int number = 0;
  while (letter == '#' || isspace(letter)) {
    if (letter == '#') skip_line(file);
    letter = fgetc(file);
  }
  for (; letter >= '0' && letter <= '9' && number < 100000; letter = fgetc(file)) {
    number = 10 * number + letter - '0';
  }
  return number;
}

/* An axis of size pixels and one of count pixels of the result: from pixels become to. */
typedef struct {
  int64_t size, count, from, to;
} resize_axis;

/* Half the width of a weight's cubic, in units of 1 / (2 to) pixels. */
static int64_t reach_of(const resize_axis *axis) { return 4 * (axis->from > axis->to ? axis->from : axis->to); }

/* Where the centre of a pixel of the result is, in the same units. */
static int64_t centre_of(const resize_axis *axis, int64_t index) {
  return axis->size * axis->to + (2 * index + 1 - axis->count) * axis->from;
}

/* The first pixel that counts. */
static int64_t first_of(const resize_axis *axis, int64_t index) {
  const int64_t before = centre_of(axis, index) - reach_of(axis) - axis->to;
  return before < 0 ? 0 : before / (2 * axis->to) + 1;
}

/* The pixel behind the last that counts. */
static int64_t end_of(const resize_axis *axis, int64_t index) {
  const int64_t last = centre_of(axis, index) + reach_of(axis) + axis->to - 1;
  return last / (2 * axis->to) < axis->size ? last / (2 * axis->to) : axis->size;
}

static int64_t weight_of(const resize_axis *axis, int64_t index, int64_t pixel) {
  const int64_t distance = centre_of(axis, index) - (2 * pixel + 1) * axis->to;
  const int64_t x = 8192 * (distance < 0 ? -distance : distance) / reach_of(axis);
  const int64_t value = x < 4096 ? (3 * x - 20480) * x * x + 137438953472
                                 : ((20480 - x) * x - 134217728) * x + 274877906944;
  return (value + 1099511627776) / 1048576 - 1048576;
}

/* Pixels in rows of width, three bytes each, to rows of ${width}: in units of 1 / 256 of a level. */
static void resize_rows(const unsigned char *pixels, int32_t *rows, int64_t height, const resize_axis *axis) {
  for (int64_t x = 0; x < axis->count; x++) {
    const int64_t first = first_of(axis, x);
    const int64_t end = end_of(axis, x);
    int64_t total = 0;
    for (int64_t pixel = first; pixel < end; pixel++) total += weight_of(axis, x, pixel);
    for (int64_t y = 0; y < height; y++) {
      for (int colour = 0; colour < 3; colour++) {
        int64_t sum = 0;
        for (int64_t pixel = first; pixel < end; pixel++) {
          sum += weight_of(axis, x, pixel) * pixels[3 * (y * axis->size + pixel) + colour];
        }
        /* Rounded down, also below 0. */
        rows[3 * (y * axis->count + x) + colour] =
            (int32_t)((512 * sum + total + 131072 * total) / (2 * total) - 65536);
      }
    }
  }
}

static unsigned char level_of(int64_t sum, int64_t total) {
  const int64_t rounded = sum + 128 * total < 0 ? 0 : (sum + 128 * total) / (256 * total);
  return (unsigned char)(rounded > 255 ? 255 : rounded);
}

/* Rows of count numbers to rows of levels, each behind the one before it by ${3 * width}. */
static void resize_columns(const int32_t *rows, int count, unsigned char *levels, const resize_axis *axis) {
  static int64_t sums[${3 * width}];
  for (int64_t y = 0; y < axis->count; y++) {
    const int64_t end = end_of(axis, y);
    int64_t total = 0;
    memset(sums, 0, sizeof sums);
    for (int64_t pixel = first_of(axis, y); pixel < end; pixel++) {
      const int64_t weight = weight_of(axis, y, pixel);
      total += weight;
      for (int at = 0; at < count; at++) sums[at] += weight * rows[count * pixel + at];
    }
    for (int at = 0; at < count; at++) levels[${3 * width} * y + at] = ${level};
  }
}
${resize === "letterbox" ? FITTED : ""}
static void read_ppm(FILE *file, float *values, const char *name) {
  static const float mean[${channels}] = {${list(mean)}};
  static const float deviation[${channels}] = {${list(std)}};
  static unsigned char levels[${3 * plane}];
  if (fgetc(file) != 'P' || fgetc(file) != '6') fail("not a binary PPM image", name);
  const int64_t width = header_number(file);
  const int64_t height = header_number(file);
  if (header_number(file) != 255) fail("not 8 bits per colour", name);
  if (width < 1 || height < 1 || width * height > 268435456) fail("not an image of 1 to 2^28 pixels", name);
  unsigned char *pixels = memory((size_t)(3 * width * height));
  read_all(file, pixels, (size_t)(3 * width * height), name);
${axes(picture)}
  int32_t *rows = memory((size_t)(${3 * width} * height) * sizeof(int32_t));
  resize_rows(pixels, rows, height, &across);
  resize_columns(rows, (int)(3 * across.count), ${resize === "letterbox" ? `levels + 3 * (${width} * top + left)` : "levels"}, &down);
  for (int pixel = 0; pixel < ${plane}; pixel++) {
    for (int colour = 0; colour < ${channels}; colour++) {
      const int channel = ${channel};
      const int level = ${levelOf(channels)};
      const float value = (float)((double)level * ${doubleLiteral(scale)});
      values[${place}] = (value - mean[channel]) / deviation[channel];
    }
  }
  free(rows);
  free(pixels);
}`;
}

const axesOf: Readonly<Record<Preprocessing["resize"], (picture: PictureInput) => string>> = {
  stretch: ({
    width,
    height,
    crop,
  }) => `  const resize_axis across = {width, ${width}, ${cropped("width", width, crop)}};
  const resize_axis down = {height, ${height}, ${cropped("height", height, crop)}};`,
  cover: ({
    width,
    height,
    crop,
  }) => `  /* The image covers the network's ${width} x ${height} pixels; what lies outside is cut off on both sides. */
  const int is_wider = width * ${height} > height * ${width};
  const int64_t from = ${times("(is_wider ? height : width)", crop)};
  const int64_t to = is_wider ? ${larger(height, crop)} : ${larger(width, crop)};
  const resize_axis across = {width, ${width}, from, to};
  const resize_axis down = {height, ${height}, from, to};`,
  letterbox: ({
    width,
    height,
    pad = [],
  }) => `  /* The image lies in the middle of the network's ${width} x ${height} pixels; what is left is of one colour. */
  const int is_wider = width * ${height} > height * ${width};
  const int64_t columns = is_wider ? ${width} : fitted(width, height, ${height});
  const int64_t lines = is_wider ? fitted(height, width, ${width}) : ${height};
  const int64_t left = (${width} - columns) / 2;
  const int64_t top = (${height} - lines) / 2;
  const resize_axis across = {width, columns, width, columns};
  const resize_axis down = {height, lines, height, lines};
  static const unsigned char pad[3] = {${pad.join(", ")}};
  for (int at = 0; at < ${3 * width * height}; at++) levels[at] = pad[at % 3];`,
};

const axes = (picture: PictureInput): string => axesOf[picture.resize](picture);

/** As `cropped` of src/runtime. */
const cropped = (from: string, to: number, crop?: number): string =>
  `${times(from, crop)}, ${larger(to, crop)}`;
const times = (from: string, crop = 1): string =>
  crop === 1 ? from : `${from} * ${Math.round(1000 * crop)}`;
const larger = (to: number, crop = 1): number => (crop === 1 ? to : 1000 * to);

/** What only a letterbox needs. */
const FITTED = `
/* What a side becomes that is resized as another one is, rounded; at least one pixel. */
static int64_t fitted(int64_t side, int64_t from, int64_t to) {
  const int64_t found = (2 * side * to + from) / (2 * from);
  return found < 1 ? 1 : found;
}
`;

/** Grey by Rec. 601, as `imageLevels`. */
function levelOf(channels: number): string {
  if (channels !== 1) return "levels[3 * pixel + colour]";
  return "(19595 * levels[3 * pixel] + 38470 * levels[3 * pixel + 1] + 7471 * levels[3 * pixel + 2] + 32768) >> 16";
}

/** A number that is read back as the same double. */
function doubleLiteral(value: number): string {
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
