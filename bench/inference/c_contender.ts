import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Backend, LinkedExecution } from "../../src/compile/backend.js";
import { backend as cBackend } from "../../src/compile/c/backend.js";
import type { Graph } from "../../src/graph/types.js";
import type { Contender } from "../../src/measure/by_turns.js";
import { NETWORK, writeCProgram } from "./c_program.js";

/** Runs as often as each line of input says and prints the nanoseconds of every run. */
const HARNESS = `#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "${NETWORK}.h"

static float input[NETWORK_INPUT_ELEMENTS];
static float output[NETWORK_OUTPUT_ELEMENTS];

int main(void)
{
    void *scratch = aligned_alloc(64, ((size_t)NETWORK_SCRATCH_BYTES + 63) / 64 * 64);
    int count;
#ifdef NETWORK_PACKED_BYTES
    void *weights = aligned_alloc(64, ((size_t)NETWORK_WEIGHTS_BYTES + 63) / 64 * 64);
    ${NETWORK}_unpack(weights);
#define RUN() ${NETWORK}_run(input, output, scratch, weights)
#else
#define RUN() ${NETWORK}_run(input, output, scratch)
#endif
    for (size_t i = 0; i < NETWORK_INPUT_ELEMENTS; i++) input[i] = sinf((float)i);
    while (scanf("%d", &count) == 1) {
        for (int run = 0; run < count; run++) {
            struct timespec start, end;
            clock_gettime(CLOCK_MONOTONIC, &start);
            RUN();
            clock_gettime(CLOCK_MONOTONIC, &end);
            printf("%lld ", (end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec));
        }
        printf("\\n");
        fflush(stdout);
    }
    free(scratch);
    return 0;
}
`;

/** A network as a program of its own, as fast as a C compiler makes it. */
export class CContender implements Contender {
  private constructor(
    readonly engine: string,
    private readonly directory: string,
    private readonly child: ChildProcess,
    private readonly lines: Interface,
  ) {}

  /** @throws Error if the C compiler is missing or fails */
  static build(
    engine: string,
    graph: Graph,
    compiler: string,
    backend: Backend<LinkedExecution> = cBackend,
  ): CContender {
    const directory = mkdtempSync(path.join(tmpdir(), "penni-bench-c-"));
    writeCProgram(directory, graph, HARNESS, compiler, backend);
    const child = spawn("./main", { cwd: directory, stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = child;
    if (stdout === null) throw new Error("the program has no output");
    return new CContender(engine, directory, child, createInterface({ input: stdout }));
  }

  sample(count: number): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(new Error(`${this.engine} ended too early`));
      this.lines.once("close", fail);
      this.lines.once("line", (line) => {
        this.lines.off("close", fail);
        resolve(
          line
            .trim()
            .split(" ")
            .map((nanoseconds) => Number(nanoseconds) / 1e6),
        );
      });
      this.child.stdin?.write(`${count}\n`);
    });
  }

  close(): void {
    this.child.stdin?.end();
    this.lines.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
