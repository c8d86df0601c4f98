/** Two pixels side by side in a WebP file whose EXIF data turn them: one above the other where a browser heeds them. */
const TURNED_WEBP =
  "UklGRlIAAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TBIAAAAvAQAAAA8w//M///MfeMiI/gdFWElGGgAAAElJKgAIAAAAAQASAQMAAQAAAAYAAAAAAAAA";

/**
 * JavaScript for a page: `drawUpright(canvas, file)` draws a picture's file as its EXIF data say it is to be seen, as data
 * sets are read. Browsers do so by themselves, but Chromium not for WebP.
 */
export const uprightPicture = `/** Draws a picture as its EXIF data say it is to be seen: what browsers do by themselves, but for WebP not all. */
async function drawUpright(canvas, file) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const turn = (await turnsWebP()) ? 1 : webpOrientation(new Uint8Array(await file.arrayBuffer()));
  [canvas.width, canvas.height] = turn > 4 ? [height, width] : [width, height];
  const context = canvas.getContext("2d");
  const places = [
    [1, 0, 0, 1, 0, 0],
    [-1, 0, 0, 1, width, 0],
    [-1, 0, 0, -1, width, height],
    [1, 0, 0, -1, 0, height],
    [0, 1, 1, 0, 0, 0],
    [0, 1, -1, 0, height, 0],
    [0, -1, -1, 0, height, width],
    [0, -1, 1, 0, 0, width],
  ];
  context.imageSmoothingEnabled = false;
  context.setTransform(...places[turn - 1]);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Whether this browser heeds the EXIF data of WebP files. */
async function turnsWebP() {
  const response = await fetch("data:image/webp;base64,${TURNED_WEBP}");
  return (await createImageBitmap(await response.blob())).height === 2;
}

/** 1 to 8, as EXIF counts; 1 for other files, and where nothing is said. */
function webpOrientation(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = (at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
  if (text(0, 4) !== "RIFF" || text(8, 4) !== "WEBP") return 1;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    if (text(at, 4) === "EXIF") return exifOrientation(bytes.subarray(at + 8, at + 8 + size));
    at += 8 + size + (size % 2);
  }
  return 1;
}

/** Of the first directory of a TIFF structure, which some programs put behind "Exif". */
function exifOrientation(bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 4)) === "Exif" ? 6 : 0;
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
    const isLittle = view.getUint16(0) === 0x4949;
    const directory = view.getUint32(4, isLittle);
    for (let entry = 0; entry < view.getUint16(directory, isLittle); entry++) {
      const at = directory + 2 + 12 * entry;
      const value = view.getUint16(at + 8, isLittle);
      if (view.getUint16(at, isLittle) === 0x112) return value >= 1 && value <= 8 ? value : 1;
    }
  } catch {
    // Cut short: it says nothing.
  }
  return 1;
}
`;
