/** C of an addon: `runAsync`, on the threads of Node. */
export const asyncCode = `/* What a thread computes: from a copy of the inputs, to memory of its own. */
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
`;
