import { orDefault } from "../../graph/at.js";
import { readClassNames, readPreprocessing } from "../../graph/image_metadata.js";
import type { CIdentifier } from "../../text/destinations.js";
import { binaryWeights } from "../c/constants.js";
import { type CUnit, prepareParameters, runParameters, takesPrepared } from "../c/source.js";
import type { Port, Program } from "../program.js";
import type { ModuleDescription } from "../wasm/module.js";
import { furtherSets } from "./instruction_sets.js";
import { asyncCode } from "./runtime/async.js";
import { exportsCode } from "./runtime/exports.js";
import { modelCode } from "./runtime/model.js";

/** What an addon says of itself, as JSON: as a module does, and what it takes of memory. */
export interface AddonDescription extends ModuleDescription {
  /** Of weights, what is prepared of them, inputs, outputs and intermediate values of one run. */
  readonly memoryBytes: number;
}

/** The constants of an addon, the same for all instruction sets: weights, then the description. */
export interface AddonData {
  readonly bytes: Uint8Array;
  /** Where the description begins. */
  readonly description: number;
}

export function addonData(program: Program, { plan, prepared }: CUnit): AddonData {
  const weights = binaryWeights(program);
  const ports = [...program.inputs, ...program.outputs].reduce((sum, { buffer }) => sum + buffer.size, 0);
  const place = ({ name, dims, elementType }: Port, index: number): ModuleDescription["inputs"][number] => {
    return { name, dims, type: elementType, address: index };
  };
  const description: AddonDescription = {
    inputs: program.inputs.map(place),
    outputs: program.outputs.map(place),
    preprocessing: readPreprocessing(program.metadata),
    classNames: readClassNames(program.metadata),
    memoryBytes: weights.length + 4 * (ports + plan.size + orDefault(prepared?.plan.size, 0)),
  };
  const text = new TextEncoder().encode(JSON.stringify(description));
  const bytes = new Uint8Array(weights.length + text.length);
  bytes.set(weights);
  bytes.set(text, weights.length);
  return { bytes, description: weights.length };
}

/** The functions that each object has. */
export const objectFunctions = ["run", "prepare"] as const;

/** What one of them is called in the object for an instruction set. */
export function nameInObject(name: CIdentifier, what: (typeof objectFunctions)[number], set: string): string {
  return `${name}_${what}_${set}`;
}

/** The macro by which the addon's source knows that there is an object for an instruction set. */
export function setMacro(set: string): string {
  return `PENNI_HAS_${set.toUpperCase()}`;
}

/**
 * The C source of an addon around the objects of NAME.c. Every name in it is ours or a C identifier; what else is known of
 * the network stands in the data.
 */
export function addonSource(unit: CUnit, { bytes, description }: AddonData): string {
  const { name, ports, plan } = unit;
  const sizes = (list: typeof ports.inputs): string =>
    [...list.map(({ buffer }) => buffer.size), 0].join(", ");
  const values = [
    ...ports.inputs.map((_, index) => `inputs[${index}]`),
    ...ports.outputs.map((_, index) => `outputs[${index}]`),
  ];
  const parameters = runParameters(unit).join(", ");
  const given = [...values, "scratch", "penni_data", ...(takesPrepared(unit) ? ["prepared"] : [])];
  const caller = (set: string): string => `void ${nameInObject(name, "run", set)}(${parameters});
static void call_${set}(const float *const *inputs, float *const *outputs, void *scratch) {
  (void)inputs;
  (void)outputs;
  ${nameInObject(name, "run", set)}(${given.join(", ")});
}`;
  const choices = furtherSets.map(({ name: set, needs }) => {
    const tests = needs.map((feature) => `__builtin_cpu_supports("${feature}")`).join(" && ");
    return {
      set,
      code: `#ifdef ${setMacro(set)}\n${caller(set)}\nstatic int has_${set}(void) {
  __builtin_cpu_init();
  return ${tests};
}
#endif`,
    };
  });
  const rows = choices.map(
    ({ set }) => `#ifdef ${setMacro(set)}\n  {"${set}", has_${set}, call_${set}},\n#endif`,
  );
  return `#define _POSIX_C_SOURCE 200809L
#define NAPI_VERSION 8
#include <node_api.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __APPLE__
#define READ_ONLY ".section __TEXT,__const"
#else
#define READ_ONLY ".section .rodata"
#endif
__asm__(READ_ONLY "\\n.balign 64\\npenni_data:\\n.incbin \\"${name}_data.bin\\"\\n.text\\n");
extern const unsigned char penni_data[] __asm__("penni_data") __attribute__((visibility("hidden")));

enum { INPUTS = ${ports.inputs.length}, OUTPUTS = ${ports.outputs.length} };
#define DESCRIPTION ${description}
#define DESCRIPTION_BYTES ${bytes.length - description}
#define ARENA_BYTES ((size_t)${Math.max(64, 4 * plan.size)})
static const size_t input_sizes[] = {${sizes(ports.inputs)}};
static const size_t output_sizes[] = {${sizes(ports.outputs)}};

${preparing(unit)}
${[...choices.map(({ code }) => code), caller("baseline")].join("\n")}
static int has_baseline(void) { return 1; }

typedef void network(const float *const *inputs, float *const *outputs, void *scratch);

static const struct {
  const char *name;
  int (*is_there)(void);
  network *run;
} sets[] = {
${rows.join("\n")}
  {"baseline", has_baseline, call_baseline},
};
${[modelCode, asyncCode, exportsCode].join("\n")}`;
}

/**
 * What is prepared is there once for all models of a process, made by the first of them. It is the same whatever instructions
 * they choose: those that all machines have make it.
 */
function preparing(unit: CUnit): string {
  const { name, prepared } = unit;
  if (prepared === undefined) return "static int prepare(void) { return 1; }";
  const maker = nameInObject(name, "prepare", "baseline");
  return `void ${maker}(${prepareParameters(unit).join(", ")});
static void *prepared;
static int prepare(void) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  void *made = prepared;
  if (made == NULL && posix_memalign(&made, 64, ${4 * prepared.plan.size}) == 0) {
    ${maker}(penni_data, made);
    prepared = made;
  }
  pthread_mutex_unlock(&mutex);
  return made != NULL;
}`;
}
