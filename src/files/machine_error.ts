import { PenniError } from "../graph/errors.js";
import { ioError } from "./atomic.js";

/** What V8, WebAssembly, ONNX Runtime and C++ say when they get no memory. */
const NO_MEMORY =
  /out of memory|allocation failed|bad_alloc|cannot allocate|failed to allocate|invalid (?:typed )?array (?:buffer )?length|cannot create a string longer/i;

const memoryCodes: ReadonlySet<string> = new Set([
  "ENOMEM",
  "ERR_MEMORY_ALLOCATION_FAILED",
  "ERR_WORKER_OUT_OF_MEMORY",
  "ERR_STRING_TOO_LONG",
]);

/**
 * An error by which the machine says that it cannot, as a PenniError: "memory" where there is none left, "io" where a
 * file or a process could not be used, "unsupported" where there is no ONNX Runtime; undefined for any other, which is a fault of Penni's own.
 */
export function machineError(error: unknown): PenniError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (isMissingRuntime(error)) return missingRuntime(error);
  if ((code !== undefined && memoryCodes.has(code)) || NO_MEMORY.test(error.message)) return noMemory(error);
  if (code === undefined || syscall === undefined) return undefined;
  return ioError(path ?? syscall, `the system refused "${syscall}"`, error);
}

/** The package is not there, or has nothing for this machine: it is optional, because its own installation may fail. */
function isMissingRuntime({ code, message }: NodeJS.ErrnoException): boolean {
  const isMissing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  return isMissing && /onnxruntime-node|onnxruntime_binding/.test(message);
}

function missingRuntime(error: Error): PenniError {
  return new PenniError(
    "unsupported",
    "ONNX Runtime, which runs the networks, cannot be loaded",
    {
      expected: "the package onnxruntime-node, for Linux or Windows on x64 or arm64, or macOS on arm64",
      found: `${process.platform} on ${process.arch}: ${error.message.split("\n", 1)[0]}`,
      advice: "If this is such a machine: npm install --ignore-scripts onnxruntime-node@1.30.0",
    },
    { cause: error },
  );
}

function noMemory(error: Error): PenniError {
  return new PenniError(
    "memory",
    "there is not enough memory",
    {
      found: error.message,
      advice:
        "Close other programs, or let this one have more (ulimit -v, limits of the container); a smaller --batch needs less",
    },
    { cause: error },
  );
}
