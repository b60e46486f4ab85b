/* A store in C99 against the first headers that were released: what was built then is loaded in every
 * later run. It keeps two objects in itself. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "otagate/storage.h"

typedef struct store {
  const otagate_host* host;
  const otagate_storage_host* out;
} store;

static const char* const keys[] = {"one-1.0.0.bin", "two-2.0.0.bin"};
static unsigned char contents[2][100000];

static otagate_str text(const char* from) {
  otagate_str out;
  memset(&out, 0, sizeof out);
  out.data = from;
  out.size = strlen(from);
  return out;
}

static void finish(store* self, otagate_call call, uint32_t status, const char* message, const void* result) {
  otagate_completion completion;
  memset(&completion, 0, sizeof completion);
  completion.size = sizeof completion;
  completion.status = status;
  completion.message = text(message);
  completion.result = result;
  self->host->complete(self->host->context, call, &completion);
}

static void caps(void* self, otagate_store_caps* out) {
  (void)self;
  out->flags = OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR;
  out->parallel = 2;
}

static void list(void* raw, otagate_call call, const otagate_list_request* request) {
  store* self = raw;
  otagate_list_result result;
  unsigned i = request->cursor.size == 1 ? (unsigned)(request->cursor.data[0] - '0') : 0;
  unsigned end = i + request->limit < 2 ? i + request->limit : 2;
  char cursor[2] = {0, 0};
  for (; i < end; ++i) {
    otagate_object object;
    memset(&object, 0, sizeof object);
    object.size = sizeof object;
    object.flags = OTAGATE_OBJECT_RANGES;
    object.key = text(keys[i]);
    object.change_token = text("1");
    object.object_size = sizeof contents[i];
    if (self->out->object(self->host->context, call, &object) == OTAGATE_STOP) break;
  }
  memset(&result, 0, sizeof result);
  result.size = sizeof result;
  if (i < 2) {
    cursor[0] = (char)('0' + i);
    result.cursor = text(cursor);
  }
  finish(self, call, OTAGATE_OK, "", &result);
}

static void fetch(void* raw, otagate_call call, const otagate_fetch_request* request) {
  store* self = raw;
  otagate_fetch_info info;
  uint64_t at = request->offset;
  uint64_t end;
  unsigned i;
  for (i = 0; i < 2; ++i)
    if (request->key.size == strlen(keys[i]) && memcmp(request->key.data, keys[i], request->key.size) == 0)
      break;
  if (i == 2) {
    finish(self, call, OTAGATE_NOT_FOUND, "there is no such object", NULL);
    return;
  }
  if (request->change_token.size != 0 &&
      (request->change_token.size != 1 || request->change_token.data[0] != '1')) {
    finish(self, call, OTAGATE_CHANGED, "that is another object", NULL);
    return;
  }
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  info.total = sizeof contents[i];
  info.change_token = text("1");
  self->out->begin(self->host->context, call, &info);
  end = request->length == 0 || request->length > info.total || at > info.total - request->length
            ? info.total
            : at + request->length;
  while (at < end) {
    uint64_t part = end - at < 4096 ? end - at : 4096;
    if (self->out->sink(self->host->context, call, contents[i] + at, part) == OTAGATE_STOP) {
      finish(self, call, OTAGATE_CANCELLED, "stopped", NULL);
      return;
    }
    at += part;
  }
  finish(self, call, OTAGATE_OK, "", NULL);
}

static const void* interface(const char* id) {
  static otagate_storage table;
  if (strcmp(id, OTAGATE_STORAGE_1) != 0) return NULL;
  table.size = sizeof table;
  table.caps = caps;
  table.list = list;
  table.fetch = fetch;
  return &table;
}

static uint32_t create(const otagate_host* host, otagate_instance instance, const char* interface_id,
                       void** self, otagate_error* error) {
  store* made;
  unsigned i;
  (void)instance;
  if (strcmp(interface_id, OTAGATE_STORAGE_1) != 0) {
    static const char why[] = "this is a store";
    error->status = OTAGATE_UNSUPPORTED;
    error->text_size = sizeof why - 1;
    memcpy(error->text, why, sizeof why - 1);
    return OTAGATE_UNSUPPORTED;
  }
  made = calloc(1, sizeof *made);
  if (!made) return OTAGATE_INTERNAL;
  for (i = 0; i < sizeof contents[0]; ++i) {
    contents[0][i] = (unsigned char)(i * 7);
    contents[1][i] = (unsigned char)(i * 13);
  }
  made->host = host;
  /* A host of another size may have no further tables. */
  if (host->size >= offsetof(otagate_host, interface) + sizeof host->interface)
    made->out = host->interface(host->context, OTAGATE_STORAGE_HOST_1);
  *self = made;
  return OTAGATE_OK;
}

static void destroy(void* self) { free(self); }

const otagate_plugin* otagate_plugin_entry(uint32_t host_major, uint32_t host_minor) {
  static otagate_plugin plugin;
  (void)host_minor;
  if (host_major != 1) return NULL;
  plugin.size = sizeof plugin;
  plugin.flags = OTAGATE_PLUGIN_BLOCKING;
  plugin.id = text("frozen-store");
  plugin.version = text("1.0.0");
  plugin.summary = text("two objects in memory");
  plugin.options_schema = text("{\"type\": \"object\"}");
  plugin.interface = interface;
  plugin.create = create;
  plugin.destroy = destroy;
  return &plugin;
}
