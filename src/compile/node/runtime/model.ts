/** C of an addon: a model with the memory of its runs, reading what JavaScript gives, and `run`. */
export const modelCode = `enum { SETS = sizeof sets / sizeof *sets };

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
`;
