/* otagate plugin ABI, part 1 of 3: what every plugin shares.
 *
 * A plugin is a shared object with exactly one exported symbol, otagate_plugin_entry. It imports
 * nothing from the host: the host passes a table of functions. Only plain data and file
 * descriptors cross the boundary, so that every call can also travel over a Unix socket.
 *
 * Rules that hold for every struct and every call:
 *  - `size` is the first member of every struct, set by whoever fills the struct in to
 *    sizeof(struct) as he was compiled. A reader uses only members that lie within it; members
 *    that are missing read as zero. Members are only ever appended.
 *  - Layout is fixed width and 8-byte aligned, the same on 32 and 64 bit. A pointer takes a slot
 *    of 8 bytes. No enum, no bool, no bit-field, no array of structs.
 *  - Strings and byte ranges are borrowed for the duration of the call that passes them, are not
 *    terminated by NUL, and text is UTF-8. Memory stays with its allocator. One message carries
 *    at most OTAGATE_MESSAGE_MAX bytes.
 *  - Handles are 64-bit numbers with a generation inside; 0 is never valid. A second, late or
 *    unknown handle is counted, logged and ignored by the host, never undefined behaviour.
 *  - No exception and no longjmp crosses the boundary.
 *  - An unknown status is read as OTAGATE_INTERNAL; unknown flags are ignored.
 *
 * C99, stdint only. sdk/include/otagate/cpp/ is a C++20 layer over it.
 */
#ifndef OTAGATE_PLUGIN_H
#define OTAGATE_PLUGIN_H

#include <stdint.h>
/* clang-format off */
#ifdef __cplusplus
extern "C" {
#endif

#define OTAGATE_ABI_MAJOR 1u
#define OTAGATE_ABI_MINOR 1u

#define OTAGATE_MESSAGE_MAX 65536u

#if defined(_WIN32)
#error "otagate plugins are built for Linux"
#endif
#define OTAGATE_EXPORT __attribute__((visibility("default")))

/* Fills the upper half of a pointer's 8-byte slot where pointers have 4 bytes. */
#if UINTPTR_MAX > 0xffffffffu
#define OTAGATE_SLOT(name)
#else
#define OTAGATE_SLOT(name) uint32_t name##_slot;
#endif

/* ------------------------------------------------------------------ status */

#define OTAGATE_OK 0u
#define OTAGATE_TRANSIENT 1u     /* try again later: network, upstream 5xx */
#define OTAGATE_PERMANENT 2u     /* trying again does not help */
#define OTAGATE_CHANGED 3u       /* the object is no longer the one that was asked for */
#define OTAGATE_NOT_FOUND 4u
#define OTAGATE_DENIED 5u        /* credentials missing or refused */
#define OTAGATE_CLOCK 6u         /* the peer says that our clock is wrong */
#define OTAGATE_THROTTLED 7u     /* the peer asks for patience: retry_after_ms */
#define OTAGATE_CANCELLED 8u
#define OTAGATE_DEADLINE 9u
#define OTAGATE_UNSUPPORTED 10u  /* this plugin or host cannot do that */
#define OTAGATE_INVALID 11u      /* an argument is wrong; the message says what is right */
#define OTAGATE_INTERNAL 12u
#define OTAGATE_BUSY 13u         /* a bound was reached; retry_after_ms */
#define OTAGATE_NO_SPACE 14u
#define OTAGATE_REJECTED 15u     /* the bytes failed verification */
#define OTAGATE_AMBIGUOUS 16u    /* several device types have that name and version */
#define OTAGATE_PRECONDITION 17u /* the peer holds bytes of a rejected or another entity */

/* Answers of host functions that are called in the middle of a transfer. */
#define OTAGATE_CONTINUE 0u
#define OTAGATE_STOP 1u  /* the call was cancelled or its deadline passed: complete it soon */
#define OTAGATE_PAUSE 2u /* only to plugins without OTAGATE_PLUGIN_BLOCKING: wait for resume() */

/* ------------------------------------------------------------------ plain data */

typedef struct otagate_str {
  const char *data; /* may be NULL when size is 0 */
  OTAGATE_SLOT(data)
  uint64_t size;    /* bytes */
} otagate_str;

typedef uint64_t otagate_instance; /* a configured store or transport; given to create() */
typedef uint64_t otagate_call;     /* one asynchronous call, either way */

/* How a call ended. Whoever was called completes it exactly once, inline or later, from any thread. */
typedef struct otagate_completion {
  uint32_t size;
  uint32_t status;
  uint64_t retry_after_ms; /* 0: not said */
  otagate_str message;     /* for people: what was wrong, where, what to do; never a secret */
  const void *result;      /* the call's result struct as its documentation names it, or NULL */
  OTAGATE_SLOT(result)
} otagate_completion;

/* Where the host's answer to a plugin's call goes. `fn` is called exactly once per call, on any
 * thread, maybe before the call returned; it must not block. `item` is called zero or more times
 * before it, one at a time, where the call delivers a list, with the struct the call's documentation
 * names. The host copies the reply struct before the call returns; what `context` points to has to
 * live until `fn` was called. */
typedef struct otagate_reply {
  uint32_t size;
  uint32_t flags; /* 0 */
  void *context;
  OTAGATE_SLOT(context)
  void (*fn)(void *context, const otagate_completion *completion);
  OTAGATE_SLOT(fn)
  void (*item)(void *context, const void *item);
  OTAGATE_SLOT(item)
} otagate_reply;

/* One option of the instance's configuration. */
#define OTAGATE_VALUE_NONE 0u
#define OTAGATE_VALUE_STRING 1u
#define OTAGATE_VALUE_INTEGER 2u
#define OTAGATE_VALUE_NUMBER 3u
#define OTAGATE_VALUE_BOOLEAN 4u
#define OTAGATE_VALUE_LIST 5u  /* `integer` is the number of elements: "key.0", "key.1", ... */
#define OTAGATE_VALUE_TABLE 6u /* `string` is its keys packed "key\0key\0", `integer` their number */

typedef struct otagate_value {
  uint32_t size;
  uint32_t kind;
  otagate_str string; /* valid until the instance is destroyed */
  int64_t integer;    /* BOOLEAN: 0 or 1 */
  double number;
} otagate_value;

#define OTAGATE_LOG_TRACE 0u
#define OTAGATE_LOG_DEBUG 1u
#define OTAGATE_LOG_INFO 2u
#define OTAGATE_LOG_WARN 3u
#define OTAGATE_LOG_ERROR 4u

/* Something worth keeping in the event log. Unset strings are empty. */
typedef struct otagate_event {
  uint32_t size;
  uint32_t severity;    /* OTAGATE_LOG_INFO, _WARN or _ERROR */
  otagate_str kind;     /* short and stable: "listener_waiting", "certificate_expired" */
  otagate_str subject;  /* device id, object key or address it is about */
  otagate_str message;  /* for people */
} otagate_event;

/* A failed create() says why here. */
#define OTAGATE_ERROR_TEXT 496u
typedef struct otagate_error {
  uint32_t size;
  uint32_t status;
  uint64_t text_size;
  char text[OTAGATE_ERROR_TEXT]; /* UTF-8, cut at a character's end */
} otagate_error;

/* ------------------------------------------------------------------ the host's table */

typedef struct otagate_host {
  uint32_t size;
  uint32_t abi_minor;
  void *context; /* the host's; passed back as the first argument of every function */
  OTAGATE_SLOT(context)

  /* Completes a call the host made. Any thread; returns at once. */
  void (*complete)(void *context, otagate_call call, const otagate_completion *completion);
  OTAGATE_SLOT(complete)
  /* OTAGATE_STOP once the call was cancelled, its deadline passed, or it is unknown. Cheap. */
  uint32_t (*poll)(void *context, otagate_call call);
  OTAGATE_SLOT(poll)
  /* One option by dotted path ("tls.ca_file", "keys.0"; "" is the table of all). Returns OTAGATE_OK, or OTAGATE_NOT_FOUND
   * and kind NONE. Secrets arrive resolved. Any thread. */
  uint32_t (*option)(void *context, otagate_instance instance, otagate_str path, otagate_value *value);
  OTAGATE_SLOT(option)
  void (*log)(void *context, otagate_instance instance, uint32_t level, otagate_str message);
  OTAGATE_SLOT(log)
  void (*event)(void *context, otagate_instance instance, const otagate_event *event);
  OTAGATE_SLOT(event)
  /* Adds to a counter (kind 0) or sets a gauge (kind 1) shown with the instance's name:
   * otagate_plugin_<name>{instance="..."}. At most 64 names an instance. */
  void (*metric)(void *context, otagate_instance instance, otagate_str name, uint32_t kind, double value);
  OTAGATE_SLOT(metric)
  /* Replies OTAGATE_OK after delay_ms, or OTAGATE_CANCELLED. 0 is returned when the instance has
   * 1,024 timers already; then the reply is not called. */
  otagate_call (*timer)(void *context, otagate_instance instance, uint64_t delay_ms, const otagate_reply *reply);
  OTAGATE_SLOT(timer)
  /* Cancels a call that the plugin made. Its reply comes all the same, with what it came to. */
  void (*cancel)(void *context, otagate_instance instance, otagate_call call);
  OTAGATE_SLOT(cancel)
  /* The instance says how it does: OTAGATE_OK (running), OTAGATE_BUSY (waiting: a listener's
   * address is taken, an adapter is gone; it goes on by itself) or an error. Shown in status. */
  void (*health)(void *context, otagate_instance instance, uint32_t status, otagate_str message);
  OTAGATE_SLOT(health)
  /* A further table by id ("otagate.storage-host/1", "otagate.transport-host/1"), or NULL. */
  const void *(*interface)(void *context, const char *id);
  OTAGATE_SLOT(interface)
  /* Wall time, milliseconds since 1970, never before the latest time this gateway has seen, also
   * where the machine has no clock of its own. `synchronised` (may be NULL) becomes 0 or 1; expire
   * nothing while it is 0. For TLS validity and signatures; intervals are the plugin's own affair. */
  int64_t (*now)(void *context, uint32_t *synchronised);
  OTAGATE_SLOT(now)
  /* Milliseconds until the deadline of a call that the host made; 0 once poll() says OTAGATE_STOP. */
  uint64_t (*remaining)(void *context, otagate_call call);
  OTAGATE_SLOT(remaining)
} otagate_host;

/* ------------------------------------------------------------------ the plugin's description */

/* Calls of one instance may block the calling thread; the host makes them on a small pool that
 * belongs to the instance. Without it a call must return at once and complete later. */
#define OTAGATE_PLUGIN_BLOCKING 1u
/* Calls of one instance may run at the same time. Without it the host makes them one by one
 * (cancel() and poll() excepted). */
#define OTAGATE_PLUGIN_THREAD_SAFE 2u

typedef struct otagate_plugin {
  uint32_t size;
  uint32_t flags;             /* OTAGATE_PLUGIN_* */
  otagate_str id;             /* "s3"; letters, digits, '-' */
  otagate_str version;        /* of the plugin, semantic */
  otagate_str summary;        /* one line */
  otagate_str options_schema; /* JSON Schema of the instance's options */
  /* The table of functions of an interface ("otagate.storage/1", "otagate.transport/1"), or NULL. */
  const void *(*interface)(const char *id);
  OTAGATE_SLOT(interface)
  /* Makes an instance of the interface. The options have been checked against the schema. `host`
   * and its tables live until destroy() returned. On failure returns a status and fills in error.
   * May read files (certificates); talks to no peer. */
  uint32_t (*create)(const otagate_host *host, otagate_instance instance, const char *interface_id,
                     void **self, otagate_error *error);
  OTAGATE_SLOT(create)
  /* Called once, when no call is open either way and (transports) stop() has completed: the host
   * cancels what the plugin has asked for and replies to it before. May block up to 5 s, to join
   * threads of the plugin. */
  void (*destroy)(void *self);
  OTAGATE_SLOT(destroy)
} otagate_plugin;

/* The one exported symbol. Returns the description, which lives as long as the shared object is
 * loaded, or NULL when the plugin cannot work with that major version of the host. */
OTAGATE_EXPORT const otagate_plugin *otagate_plugin_entry(uint32_t host_major, uint32_t host_minor);

typedef const otagate_plugin *(*otagate_plugin_entry_fn)(uint32_t host_major, uint32_t host_minor);

#ifdef __cplusplus
}
#endif

#endif
