import { resolveDevice } from "../execute/resolve.js";
import type { CompressRequest } from "../run/compress_request.js";
import type { CompressOptions } from "./compress_options.js";
import { settingsFrom } from "./compress_settings.js";
import { classNamesOf, givenPictureOptions } from "./options.js";

/**
 * What `penni compress` asks of a run.
 * @throws PenniError if options contradict each other, or a file of theirs cannot be read
 */
export async function compressRequest(
  place: Pick<CompressRequest, "model" | "data" | "out">,
  options: CompressOptions,
  told: Pick<CompressRequest, "notice" | "onPictures" | "onTraining"> = {},
): Promise<CompressRequest> {
  const { seed, preset, teacher } = options;
  await resolveDevice(options.device);
  const classes = await classNamesOf(options);
  return {
    ...place,
    ...told,
    preset,
    seed,
    settings: await settingsFrom(options),
    ...(options.dequantize === undefined ? {} : { dequantize: options.dequantize }),
    ...(options.externalData === undefined ? {} : { externalData: options.externalData }),
    ...(teacher !== undefined && "file" in teacher ? { teacher: teacher.file } : {}),
    ...(options.inputShape === undefined ? {} : { inputShapes: options.inputShape }),
    ...(classes === undefined ? {} : { classes }),
    ...(options.outputLoss === undefined ? {} : { outputs: options.outputLoss }),
    pictures: givenPictureOptions(options),
  };
}
