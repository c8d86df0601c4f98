/** C of an addon: the choice of instructions, `create`, and what the addon exports. */
export const exportsCode = `/* The number of the instruction set that is wanted, or the best that there is; -1 where there is no such. */
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
  if (!prepare()) return refuse(env, NO_MEMORY);
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
