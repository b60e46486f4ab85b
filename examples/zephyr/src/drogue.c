/* The packed spelling of CBOR that embedded-update uses: fields are numbered. Both spellings of commands are
 * not needed: a gateway answers in the one it is asked in, and a device of few kilobytes asks in this one.
 */
#include "drogue.h"

/* Major types of CBOR (RFC 8949, section 3). */
enum { NUMBER = 0, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7 };
enum { CBOR_NULL = 22, MAX_DEPTH = 6 };
enum { WAIT = 0, SYNC = 1, WRITE = 2, SWAP = 3 };

/* ---- writing */

struct writer {
  uint8_t* out;
  size_t size;
  size_t used; /* may pass `size`: then nothing was written beyond it */
};

static void put(struct writer* w, uint8_t byte) {
  if (w->used < w->size) {
    w->out[w->used] = byte;
  }
  w->used++;
}

static void put_head(struct writer* w, uint8_t major, uint32_t value) {
  const uint32_t kind = (uint32_t)major << 5;
  int bytes = 0;

  if (value < 24U) {
    put(w, (uint8_t)(kind | value));
  } else if (value <= 0xFFU) {
    put(w, (uint8_t)(kind | 24U));
    bytes = 1;
  } else if (value <= 0xFFFFU) {
    put(w, (uint8_t)(kind | 25U));
    bytes = 2;
  } else {
    put(w, (uint8_t)(kind | 26U));
    bytes = 4;
  }
  while (bytes-- > 0) {
    put(w, (uint8_t)(value >> (8 * bytes)));
  }
}

static void put_version(struct writer* w, const struct drogue_version* version) {
  put_head(w, BYTES, version->length);
  for (uint8_t i = 0; i < version->length; i++) {
    put(w, version->bytes[i]);
  }
}

/* ---- reading */

struct reader {
  const uint8_t* at;
  size_t left;
  bool bad; /* from the first malformed item on; all else is zero then */
};

struct item {
  uint8_t major;
  uint8_t info;
  uint32_t value;
};

static const uint8_t* cut(struct reader* r, size_t length) {
  const uint8_t* part = r->at;

  if (r->bad || length > r->left) {
    r->bad = true;
    return NULL;
  }
  r->at += length;
  r->left -= length;
  return part;
}

static struct item head(struct reader* r) {
  struct item item = {SIMPLE, 0, 0};
  const uint8_t* first = cut(r, 1);
  const uint8_t* more;
  size_t length;

  if (first == NULL) {
    return item;
  }
  item.major = (uint8_t)(*first >> 5);
  item.info = *first & 31U;
  if (item.info < 24U) {
    item.value = item.info;
    return item;
  }
  /* 64 bits and indefinite lengths do not occur in this protocol. */
  length = item.info == 24U ? 1U : item.info == 25U ? 2U : item.info == 26U ? 4U : 0U;
  more = length > 0U ? cut(r, length) : NULL;
  if (more == NULL) {
    r->bad = true;
    return item;
  }
  for (size_t i = 0; i < length; i++) {
    item.value = item.value << 8 | more[i];
  }
  return item;
}

static void skip(struct reader* r, int depth) {
  struct item item = head(r);

  if (depth > MAX_DEPTH) {
    r->bad = true;
  }
  if (r->bad) {
    return;
  }
  if (item.major == BYTES || item.major == TEXT) {
    (void)cut(r, item.value);
  } else if (item.major == TAG) {
    skip(r, depth + 1);
  } else if (item.major == ARRAY || item.major == MAP) {
    if (item.value > r->left) { /* each entry has at least a byte */
      r->bad = true;
    }
    for (uint32_t i = 0; !r->bad && i < item.value; i++) {
      skip(r, depth + 1);
      if (item.major == MAP) {
        skip(r, depth + 1);
      }
    }
  }
}

/* false: null */
static bool number(struct reader* r, uint32_t* value) {
  struct item item = head(r);

  if (item.major == NUMBER) {
    *value = item.value;
    return !r->bad;
  }
  if (item.major != SIMPLE || item.info != CBOR_NULL) {
    r->bad = true;
  }
  return false;
}

static const uint8_t* byte_string(struct reader* r, size_t* length) {
  struct item item = head(r);

  *length = item.value;
  if (item.major != BYTES) {
    r->bad = true;
  }
  return cut(r, item.value);
}

/* ---- the protocol */

struct command {
  uint32_t kind;
  struct drogue_version version;
  bool has_correlation_id;
  uint32_t correlation_id;
  uint32_t poll;
  uint32_t offset;
  const uint8_t* data;
  size_t length;
};

/* What a field of a command is called, by its number. */
enum field { NONE, VERSION, CORRELATION_ID, POLL, OFFSET, DATA };
static const uint8_t fields[4][4] = {
    {CORRELATION_ID, POLL, NONE, NONE},
    {VERSION, CORRELATION_ID, POLL, NONE},
    {VERSION, CORRELATION_ID, OFFSET, DATA},
    {VERSION, CORRELATION_ID, DATA, NONE},
};

static void copy_version(struct reader* r, struct drogue_version* version) {
  size_t length;
  const uint8_t* bytes = byte_string(r, &length);

  if (length == 0U || length > DROGUE_MAX_VERSION) {
    r->bad = true;
  }
  if (r->bad || bytes == NULL) {
    return;
  }
  version->length = (uint8_t)length;
  for (size_t i = 0; i < length; i++) {
    version->bytes[i] = bytes[i];
  }
}

static bool parse(struct command* command, const uint8_t* bytes, size_t length) {
  struct reader r = {bytes, length, false};
  struct item outer = head(&r);
  struct item kind = head(&r);
  struct item inner = head(&r);

  if (r.bad || outer.major != MAP || outer.value != 1U || kind.major != NUMBER || kind.value > SWAP ||
      inner.major != MAP || inner.value > r.left) {
    return false;
  }
  command->kind = kind.value;
  for (uint32_t i = 0; !r.bad && i < inner.value; i++) {
    struct item key = head(&r);
    uint8_t field = NONE;

    if (key.major == TEXT) { /* one that this device does not know */
      (void)cut(&r, key.value);
    } else if (key.major != NUMBER) {
      return false;
    } else if (key.value < 4U) {
      field = fields[kind.value][key.value];
    }
    switch (field) {
      case VERSION: copy_version(&r, &command->version); break;
      case CORRELATION_ID: command->has_correlation_id = number(&r, &command->correlation_id); break;
      case POLL: (void)number(&r, &command->poll); break;
      case OFFSET: (void)number(&r, &command->offset); break;
      case DATA: command->data = byte_string(&r, &command->length); break;
      default: skip(&r, 0); break;
    }
  }
  return !r.bad && r.left == 0U && (command->kind == WAIT || command->version.length > 0U);
}

static bool same(const struct drogue_version* a, const struct drogue_version* b) {
  if (a->length != b->length) {
    return false;
  }
  for (uint8_t i = 0; i < a->length; i++) {
    if (a->bytes[i] != b->bytes[i]) {
      return false;
    }
  }
  return true;
}

bool drogue_init(struct drogue_device* device, const char* version, uint32_t mtu, uint32_t write_size) {
  const struct drogue_device fresh = {{0, {0}}, {0, {0}}, 0, 0, 0, 0};
  uint8_t length = 0;

  *device = fresh;
  device->mtu = mtu;
  device->write_size = write_size;
  for (; version[length] != '\0'; length++) {
    if (length == DROGUE_MAX_VERSION) {
      return false;
    }
    device->running.bytes[length] = (uint8_t)version[length];
  }
  device->running.length = length;
  return length > 0U && write_size > 0U && mtu >= write_size;
}

size_t drogue_status(struct drogue_device* device, uint8_t* out, size_t size) {
  struct writer w = {out, size, 0};

  device->correlation_id++;
  put_head(&w, MAP, 4);
  put_head(&w, NUMBER, 0);
  put_version(&w, &device->running);
  put_head(&w, NUMBER, 1);
  put_head(&w, NUMBER, device->mtu);
  put_head(&w, NUMBER, 2);
  put_head(&w, NUMBER, device->correlation_id);
  put_head(&w, NUMBER, 3);
  if (device->coming.length == 0U) {
    put_head(&w, SIMPLE, CBOR_NULL);
  } else {
    put_head(&w, MAP, 2);
    put_head(&w, NUMBER, 0);
    put_version(&w, &device->coming);
    put_head(&w, NUMBER, 1);
    put_head(&w, NUMBER, device->offset);
  }
  return w.used <= size ? w.used : 0U;
}

static bool acceptable_write(const struct drogue_device* device, const struct command* command) {
  if (command->length == 0U || command->length > device->mtu ||
      command->offset > UINT32_MAX - (uint32_t)command->length) {
    return false;
  }
  /* A block behind one that was no multiple cannot be written where it belongs. */
  if (command->offset % device->write_size != 0U) {
    return false;
  }
  return command->offset == 0U ||
         (command->offset == device->offset && same(&command->version, &device->coming));
}

struct drogue_step drogue_command(const struct drogue_device* device, const uint8_t* bytes, size_t length) {
  struct drogue_step step = {DROGUE_MALFORMED, 0, 0, NULL, 0, false, {0}};
  struct command command = {0, {0, {0}}, false, 0, 0, 0, NULL, 0};

  if (!parse(&command, bytes, length)) {
    return step;
  }
  /* An answer to an earlier status, late. */
  if (command.has_correlation_id && command.correlation_id != device->correlation_id) {
    return step;
  }
  step.wait_s = command.poll;
  switch (command.kind) {
    case WRITE:
      if (acceptable_write(device, &command)) {
        step.action = DROGUE_WRITE;
        step.offset = command.offset;
        step.data = command.data;
        step.length = command.length;
      }
      break;
    case SWAP:
      if (device->offset == 0U || !same(&command.version, &device->coming) ||
          (command.length != 0U && command.length != DROGUE_SHA256)) {
        break;
      }
      step.action = DROGUE_SWAP;
      step.has_checksum = command.length == DROGUE_SHA256;
      for (size_t i = 0; i < command.length; i++) {
        step.sha256[i] = command.data[i];
      }
      break;
    default: step.action = DROGUE_NOTHING; break;
  }
  return step;
}

void drogue_written(struct drogue_device* device, const uint8_t* bytes, size_t length) {
  struct command command = {0, {0, {0}}, false, 0, 0, 0, NULL, 0};

  if (parse(&command, bytes, length) && command.kind == WRITE && acceptable_write(device, &command)) {
    device->coming = command.version;
    device->offset = command.offset + (uint32_t)command.length;
  }
}

void drogue_dropped(struct drogue_device* device) {
  device->coming.length = 0;
  device->offset = 0;
}
