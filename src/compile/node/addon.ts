import { readClassNames, readPreprocessing } from "../../graph/image_metadata.js";
import type { CIdentifier } from "../../text/destinations.js";
import { binaryWeights } from "../c/constants.js";
import { type CUnit, runParameters } from "../c/source.js";
import type { Port, Program } from "../program.js";
import type { ModuleDescription } from "../wasm/module.js";
import { furtherSets } from "./instruction_sets.js";

/** What an addon says of itself, as JSON: as a module does, and what it takes of memory. */
export interface AddonDescription extends ModuleDescription {
  /** Of weights, inputs, outputs and intermediate values of one run. */
  readonly memoryBytes: number;
}

/** The constants of an addon, the same for all instruction sets: weights, then the description. */
export interface AddonData {
  readonly bytes: Uint8Array;
  /** Where the description begins. */
  readonly description: number;
}

export function addonData(program: Program, { plan }: CUnit): AddonData {
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
    memoryBytes: weights.length + 4 * (ports + plan.size),
  };
  const text = new TextEncoder().encode(JSON.stringify(description));
  const bytes = new Uint8Array(weights.length + text.length);
  bytes.set(weights);
  bytes.set(text, weights.length);
  return { bytes, description: weights.length };
}

/** What `NAME_run` is called in the object for an instruction set. */
export function runName(name: CIdentifier, set: string): string {
  return `${name}_run_${set}`;
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
  const caller = (set: string): string => `void ${runName(name, set)}(${parameters});
static void call_${set}(const float *const *inputs, float *const *outputs, void *scratch) {
  (void)inputs;
  (void)outputs;
  ${runName(name, set)}(${[...values, "scratch", "penni_data"].join(", ")});
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
${RUNTIME}`;
}

/** The part that is the same for all networks. */
const RUNTIME = `enum { SETS = sizeof sets / sizeof *sets };

/* Of which one may lie in memory that nobody computes in. */
typedef struct arena {
  struct arena *next;
} arena;

typedef struct {
  /* Whose model it is: objects of other addons look alike. */
  const void *owner;
  network *run;
  /* Guards what follows, which threads share. */
  pthread_mutex_t mutex;
  arena *free;
  int64_t bytes;
  /* Of them, what V8 knows: for the model's own thread only. */
  int64_t reported;
} model;

static void *take_arena(model *self) {
  pthread_mutex_lock(&self->mutex);
  arena *const found = self->free;
  if (found != NULL) self->free = found->next;
  pthread_mutex_unlock(&self->mutex);
  void *made = found;
  if (made != NULL || posix_memalign(&made, 64, ARENA_BYTES) != 0) return made;
  pthread_mutex_lock(&self->mutex);
  self->bytes += (int64_t)ARENA_BYTES;
  pthread_mutex_unlock(&self->mutex);
  return made;
}

static void give_arena(model *self, void *given) {
  arena *const free_one = given;
  pthread_mutex_lock(&self->mutex);
  free_one->next = self->free;
  self->free = free_one;
  pthread_mutex_unlock(&self->mutex);
}

/* Tells V8 of memory, so that it collects models that hold much of it. */
static void report(napi_env env, model *self) {
  int64_t total;
  pthread_mutex_lock(&self->mutex);
  const int64_t change = self->bytes - self->reported;
  pthread_mutex_unlock(&self->mutex);
  self->reported += change;
  if (change != 0) napi_adjust_external_memory(env, change, &total);
}

/* Nobody computes any more: what does so holds a reference to the object. */
static void destroy(napi_env env, void *data, void *hint) {
  model *const self = data;
  int64_t total;
  (void)hint;
  for (arena *each = self->free; each != NULL;) {
    arena *const next = each->next;
    free(each);
    each = next;
  }
  napi_adjust_external_memory(env, -self->reported, &total);
  pthread_mutex_destroy(&self->mutex);
  free(self);
}

static int compute(model *self, float *const *inputs, float *const *outputs, uint32_t runs) {
  void *const scratch = take_arena(self);
  if (scratch == NULL) return 0;
  const float *from[INPUTS + 1];
  float *to[OUTPUTS + 1];
  for (uint32_t done = 0; done < runs; done++) {
    for (int i = 0; i < INPUTS; i++) from[i] = inputs[i] + done * input_sizes[i];
    for (int i = 0; i < OUTPUTS; i++) to[i] = outputs[i] + done * output_sizes[i];
    self->run(from, to, scratch);
  }
  give_arena(self, scratch);
  return 1;
}

static napi_value refuse(napi_env env, const char *message) {
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  if (!is_pending) napi_throw_type_error(env, NULL, message);
  return NULL;
}

/* Where the elements of a list's arrays are, which must be so many float32 numbers. */
static int read_arrays(napi_env env, napi_value list, const size_t *sizes, int count, uint32_t runs, float **found) {
  napi_value items[(INPUTS > OUTPUTS ? INPUTS : OUTPUTS) + 1];
  /* First all of them: reading one may run code that detaches another. */
  for (int i = 0; i < count; i++) {
    if (napi_get_element(env, list, (uint32_t)i, &items[i]) != napi_ok) return 0;
  }
  for (int i = 0; i < count; i++) {
    napi_typedarray_type type;
    size_t length;
    void *data;
    bool is_array = false;
    if (napi_is_typedarray(env, items[i], &is_array) != napi_ok || !is_array) return 0;
    if (napi_get_typedarray_info(env, items[i], &type, &length, &data, NULL, NULL) != napi_ok) return 0;
    if (type != napi_float32_array || length != sizes[i] * runs) return 0;
    found[i] = data;
  }
  return 1;
}

static const napi_type_tag tag = {0x70656e6e69206d6fu, 0x64656c206f662043u};

static model *model_of(napi_env env, napi_callback_info info, napi_value *arguments, napi_value *object) {
  size_t count = 3;
  bool is_model = false;
  void *found = NULL;
  if (napi_get_cb_info(env, info, &count, arguments, object, NULL) != napi_ok) return NULL;
  if (napi_check_object_type_tag(env, *object, &tag, &is_model) != napi_ok || !is_model) return NULL;
  if (napi_unwrap(env, *object, &found) != napi_ok || ((model *)found)->owner != penni_data) return NULL;
  return found;
}

static const char *const WRONG = "expected the lists of inputs and outputs, and for how many runs they are";
static const char *const NO_MEMORY = "there is not enough memory for the intermediate values";

static napi_value run(napi_env env, napi_callback_info info) {
  napi_value arguments[3], object;
  uint32_t runs;
  float *inputs[INPUTS + 1], *outputs[OUTPUTS + 1];
  model *const self = model_of(env, info, arguments, &object);
  if (self == NULL || napi_get_value_uint32(env, arguments[2], &runs) != napi_ok ||
      !read_arrays(env, arguments[0], input_sizes, INPUTS, runs, inputs) ||
      !read_arrays(env, arguments[1], output_sizes, OUTPUTS, runs, outputs)) {
    return refuse(env, WRONG);
  }
  if (!compute(self, inputs, outputs, runs)) napi_throw_error(env, NULL, NO_MEMORY);
  report(env, self);
  return NULL;
}

/* What a thread computes: from a copy of the inputs, to memory of its own. */
typedef struct {
  model *self;
  uint32_t runs;
  int is_done;
  int64_t bytes;
  napi_async_work work;
  napi_deferred promise;
  /* The model's object, and the list of arrays that get the outputs. */
  napi_ref object, list;
  float *inputs[INPUTS + 1], *outputs[OUTPUTS + 1];
  float elements[];
} job;

static void execute(napi_env env, void *data) {
  job *const task = data;
  (void)env;
  task->is_done = compute(task->self, task->inputs, task->outputs, task->runs);
}

/* Where this ends before its time the environment does too, and calls fail. */
static void settle(napi_env env, napi_deferred promise, const char *problem) {
  napi_value value;
  if (problem == NULL) {
    if (napi_get_undefined(env, &value) == napi_ok) napi_resolve_deferred(env, promise, value);
  } else if (napi_create_string_utf8(env, problem, NAPI_AUTO_LENGTH, &value) == napi_ok &&
             napi_create_error(env, NULL, value, &value) == napi_ok) {
    napi_reject_deferred(env, promise, value);
  }
}

static void end(napi_env env, job *task) {
  int64_t total;
  if (task->work != NULL) napi_delete_async_work(env, task->work);
  if (task->object != NULL) napi_delete_reference(env, task->object);
  if (task->list != NULL) napi_delete_reference(env, task->list);
  napi_adjust_external_memory(env, -task->bytes, &total);
  free(task);
}

static void complete(napi_env env, napi_status status, void *data) {
  job *const task = data;
  napi_value list;
  float *outputs[OUTPUTS + 1];
  const char *problem = task->is_done ? NULL : NO_MEMORY;
  if (status != napi_ok || napi_get_reference_value(env, task->list, &list) != napi_ok ||
      !read_arrays(env, list, output_sizes, OUTPUTS, task->runs, outputs)) {
    problem = WRONG;
  }
  for (int i = 0; problem == NULL && i < OUTPUTS; i++) {
    if (output_sizes[i] > 0) memcpy(outputs[i], task->outputs[i], output_sizes[i] * task->runs * sizeof(float));
  }
  report(env, task->self);
  settle(env, task->promise, problem);
  end(env, task);
}

static napi_value run_async(napi_env env, napi_callback_info info) {
  napi_value arguments[3], object, promise, title;
  uint32_t runs;
  int64_t total;
  size_t elements = 0;
  float *inputs[INPUTS + 1], *outputs[OUTPUTS + 1];
  model *const self = model_of(env, info, arguments, &object);
  if (self == NULL || napi_get_value_uint32(env, arguments[2], &runs) != napi_ok ||
      !read_arrays(env, arguments[1], output_sizes, OUTPUTS, runs, outputs) ||
      !read_arrays(env, arguments[0], input_sizes, INPUTS, runs, inputs)) {
    return refuse(env, WRONG);
  }
  for (int i = 0; i < INPUTS; i++) elements += input_sizes[i] * runs;
  for (int i = 0; i < OUTPUTS; i++) elements += output_sizes[i] * runs;
  job *const task = malloc(sizeof(job) + elements * sizeof(float));
  if (task == NULL) {
    napi_throw_error(env, NULL, NO_MEMORY);
    return NULL;
  }
  memset(task, 0, sizeof(job));
  task->self = self;
  task->runs = runs;
  float *place = task->elements;
  for (int i = 0; i < INPUTS; place += input_sizes[i] * runs, i++) {
    task->inputs[i] = place;
    if (input_sizes[i] * runs > 0) memcpy(place, inputs[i], input_sizes[i] * runs * sizeof(float));
  }
  for (int i = 0; i < OUTPUTS; place += output_sizes[i] * runs, i++) task->outputs[i] = place;
  task->bytes = (int64_t)(sizeof(job) + elements * sizeof(float));
  napi_adjust_external_memory(env, task->bytes, &total);
  if (napi_create_reference(env, object, 1, &task->object) != napi_ok ||
      napi_create_reference(env, arguments[1], 1, &task->list) != napi_ok ||
      napi_create_string_utf8(env, "penni", NAPI_AUTO_LENGTH, &title) != napi_ok ||
      napi_create_async_work(env, NULL, title, execute, complete, task, &task->work) != napi_ok ||
      napi_create_promise(env, &task->promise, &promise) != napi_ok) {
    end(env, task);
    return refuse(env, NO_MEMORY);
  }
  if (napi_queue_async_work(env, task->work) != napi_ok) {
    settle(env, task->promise, NO_MEMORY);
    end(env, task);
  }
  return promise;
}

/* The number of the instruction set that is wanted, or the best that there is; -1 where there is no such. */
static int choose(const char *wanted) {
  for (int i = 0; i < SETS; i++) {
    if ((*wanted == 0 || strcmp(wanted, sets[i].name) == 0) && sets[i].is_there()) return i;
  }
  return -1;
}

static napi_value refuse_set(napi_env env, char *wanted) {
  char message[256] = "expected instructions that the addon and this machine have (";
  const char *between = "";
  for (int i = 0; i < SETS; i++) {
    if (!sets[i].is_there()) continue;
    strcat(strcat(message, between), sets[i].name);
    between = ", ";
  }
  for (char *letter = wanted; *letter != 0; letter++) {
    if (*letter < 33 || *letter > 126) *letter = '?';
  }
  strcat(strcat(strcat(message, "), found \\""), wanted), "\\"");
  napi_throw_range_error(env, NULL, message);
  return NULL;
}

static napi_value create(napi_env env, napi_callback_info info) {
  napi_value argument, object, name;
  napi_valuetype type;
  size_t count = 1;
  char wanted[32] = "";
  if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok) return NULL;
  if (napi_typeof(env, argument, &type) != napi_ok) return NULL;
  const char *const stated = getenv("PENNI_ISA");
  if (type == napi_string) napi_get_value_string_utf8(env, argument, wanted, sizeof wanted, NULL);
  else if (stated != NULL) snprintf(wanted, sizeof wanted, "%s", stated);
  const int chosen = choose(wanted);
  if (chosen < 0) return refuse_set(env, wanted);
  model *const self = calloc(1, sizeof *self);
  if (self == NULL || pthread_mutex_init(&self->mutex, NULL) != 0) {
    free(self);
    return refuse(env, NO_MEMORY);
  }
  self->owner = penni_data;
  self->run = sets[chosen].run;
  if (napi_create_object(env, &object) != napi_ok ||
      napi_wrap(env, object, self, destroy, NULL, NULL) != napi_ok) {
    pthread_mutex_destroy(&self->mutex);
    free(self);
    return refuse(env, NO_MEMORY);
  }
  const napi_property_descriptor properties[] = {
      {"run", NULL, run, NULL, NULL, NULL, napi_default, NULL},
      {"runAsync", NULL, run_async, NULL, NULL, NULL, napi_default, NULL},
  };
  if (napi_create_string_utf8(env, sets[chosen].name, NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_set_named_property(env, object, "isa", name) != napi_ok ||
      napi_define_properties(env, object, 2, properties) != napi_ok ||
      napi_type_tag_object(env, object, &tag) != napi_ok) {
    return refuse(env, NO_MEMORY);
  }
  return object;
}

NAPI_MODULE_INIT() {
  napi_value description, maker;
  if (napi_create_string_utf8(env, (const char *)penni_data + DESCRIPTION, DESCRIPTION_BYTES, &description) != napi_ok ||
      napi_set_named_property(env, exports, "penni", description) != napi_ok ||
      napi_create_function(env, "create", NAPI_AUTO_LENGTH, create, NULL, &maker) != napi_ok ||
      napi_set_named_property(env, exports, "create", maker) != napi_ok) {
    return refuse(env, NO_MEMORY);
  }
  return exports;
}
`;
