import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { backend } from "../../src/compile/c/backend.js";
import type { Graph } from "../../src/graph/types.js";
import { NETWORK, writeCProgram } from "./c_program.js";

/** Inputs from standard input, outputs to standard output, as they lie in memory. */
const MAIN = `#include <stdio.h>
#include <stdlib.h>
#include "${NETWORK}.h"

static float input[NETWORK_INPUT_ELEMENTS];
static float output[NETWORK_OUTPUT_ELEMENTS];

int main(void)
{
    void *scratch = malloc(NETWORK_SCRATCH_BYTES + 1);
    while (fread(input, sizeof input, 1, stdin) == 1) {
        ${NETWORK}_run(input, output, scratch);
        fwrite(output, sizeof output, 1, stdout);
    }
    free(scratch);
    return 0;
}
`;

/** The outputs of a network, compiled as C, for several inputs one after the other. */
export function runInC(graph: Graph, inputs: Float32Array, compiler: string): Float32Array {
  const directory = mkdtempSync(path.join(tmpdir(), "penni-c-batch-"));
  try {
    writeCProgram(directory, graph, MAIN, compiler, backend);
    const bytes = execFileSync(path.join(directory, "main"), {
      input: new Uint8Array(inputs.buffer, inputs.byteOffset, inputs.byteLength),
      maxBuffer: 1 << 30,
    });
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
