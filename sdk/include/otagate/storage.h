/* otagate plugin ABI, part 2 of 3: stores.
 *
 * A store lists objects and fetches their bytes. It says what it knows about an object and leaves
 * the rest to the host: names and versions from metadata, sidecars, index files, path patterns and
 * image headers; retry, back-off, resume, bandwidth and verification. A plugin makes one attempt
 * per call and completes it with a status that says what kind of failure it was.
 *
 * plugin.h has the rules for every struct and every call.
 */
#ifndef OTAGATE_STORAGE_H
#define OTAGATE_STORAGE_H

#include "otagate/plugin.h"
/* clang-format off */
#ifdef __cplusplus
extern "C" {
#endif

#define OTAGATE_STORAGE_1 "otagate.storage/1"
#define OTAGATE_STORAGE_HOST_1 "otagate.storage-host/1"

#define OTAGATE_SIZE_UNKNOWN UINT64_MAX

/* ------------------------------------------------------------------ what a store can do */

#define OTAGATE_STORE_RANGES 1u       /* fetch honours offset and length */
#define OTAGATE_STORE_VALIDATOR 2u    /* fetch fails with OTAGATE_CHANGED when change_token differs */
#define OTAGATE_STORE_STAT 4u         /* stat() gives more than list() did */
#define OTAGATE_STORE_PRESIGN 8u
#define OTAGATE_STORE_PUBLISH 16u
#define OTAGATE_STORE_ASSIGNMENTS 32u /* watch(), unwatch(), feedback() */
#define OTAGATE_STORE_NOTIFIES 64u    /* calls changed() by itself: no need to list often */
#define OTAGATE_STORE_LOCAL 128u      /* on this machine: no uplink, fill everything in advance */

typedef struct otagate_store_caps {
  uint32_t size;
  uint32_t flags;        /* OTAGATE_STORE_* */
  uint64_t min_segment;  /* bytes below which a ranged fetch is not worth it; 0: none */
  uint32_t parallel;     /* fetches at the same time that make sense; at least 1 */
  uint32_t reserved;     /* 0 */
} otagate_store_caps;

/* ------------------------------------------------------------------ list */

#define OTAGATE_OBJECT_RANGES 1u /* this object can be fetched in ranges (with OTAGATE_STORE_RANGES) */
#define OTAGATE_OBJECT_STAT 2u   /* stat() would give metadata that this listing did not */

/* One object. The key names it for fetch(), is bytes to the host (at most 1,024, no NUL) and is
 * never used as a path by it. */
typedef struct otagate_object {
  uint32_t size;
  uint32_t flags;            /* OTAGATE_OBJECT_* */
  otagate_str key;
  otagate_str change_token;  /* differs when the bytes differ: ETag, digest, mtime+size+inode */
  otagate_str sha256;        /* 64 hex digits when the store vouches for them, else empty */
  uint64_t object_size;      /* bytes, or OTAGATE_SIZE_UNKNOWN */
  int64_t modified_ms;       /* since 1970, 0: unknown */
  /* "key\0value\0key\0value\0": name, version, type, sha256, kind, dependency, and whatever else
   * the store keeps; prefixes such as x-amz-meta- removed, keys in lower case. */
  otagate_str metadata;
  /* "locator\0locator\0", at most 8: other places of the same bytes, tried in turn. Usually empty. */
  otagate_str locators;
} otagate_object;

typedef struct otagate_list_request {
  uint32_t size;
  uint32_t limit;      /* objects wanted at most; a page may be smaller */
  otagate_str cursor;  /* what the last page's result said, or empty for the first */
} otagate_list_request;

/* Result of list(). An empty cursor: that was the last page. */
typedef struct otagate_list_result {
  uint32_t size;
  uint32_t reserved;
  otagate_str cursor;
} otagate_list_result;

typedef struct otagate_stat_request {
  uint32_t size;
  uint32_t reserved;
  otagate_str key;
} otagate_stat_request;
/* stat() calls the host's object() once and completes without a result. */

/* ------------------------------------------------------------------ fetch */

typedef struct otagate_fetch_request {
  uint32_t size;
  uint32_t reserved;
  otagate_str key;
  otagate_str locator;       /* empty: the object's own place */
  otagate_str change_token;  /* empty: whatever is there now */
  uint64_t offset;
  uint64_t length;           /* 0: to the end. Never 0 where the store has ranges. */
} otagate_fetch_request;

/* What the answer's head says; passed to begin() before the first byte where it is known. */
typedef struct otagate_fetch_info {
  uint32_t size;
  uint32_t reserved;
  uint64_t total;            /* size of the whole object, or OTAGATE_SIZE_UNKNOWN */
  otagate_str change_token;  /* as list() would say it, or empty */
} otagate_fetch_info;

/* ------------------------------------------------------------------ presign, publish */

#define OTAGATE_METHOD_GET 0u
#define OTAGATE_METHOD_HEAD 1u

typedef struct otagate_presign_request {
  uint32_t size;
  uint32_t method;  /* OTAGATE_METHOD_* */
  otagate_str key;
  otagate_str change_token;
  uint64_t expiry_ms;
} otagate_presign_request;

/* Result of presign(). */
typedef struct otagate_presigned {
  uint32_t size;
  uint32_t reserved;
  otagate_str url;
} otagate_presigned;

/* Makes an object of the bytes of `fd` (read-only, positioned reads only, the host closes it). */
typedef struct otagate_publish_request {
  uint32_t size;
  int32_t fd;
  uint64_t blob_size;
  otagate_str sha256;
  otagate_str key;       /* empty: the store makes one */
  otagate_str metadata;  /* as in otagate_object */
} otagate_publish_request;
/* publish() calls the host's object() once with what it made. */

/* ------------------------------------------------------------------ assignments and feedback */

#define OTAGATE_ASSIGN_FORCED 0u
#define OTAGATE_ASSIGN_SOFT 1u
#define OTAGATE_ASSIGN_DOWNLOAD_ONLY 2u

#define OTAGATE_WINDOW_NONE 0u
#define OTAGATE_WINDOW_OPEN 1u
#define OTAGATE_WINDOW_CLOSED 2u

/* A device that may be assigned something upstream. */
typedef struct otagate_watch_request {
  uint32_t size;
  uint32_t reserved;
  otagate_str device;
  otagate_str attributes; /* packed as metadata is */
} otagate_watch_request;

/* Upstream's wish that a device runs a release. Its parts follow by assignment_part(), in order,
 * then assignment_commit(). The same external_id again replaces what was said before. */
typedef struct otagate_assignment {
  uint32_t size;
  uint32_t mode;           /* OTAGATE_ASSIGN_* */
  otagate_str external_id;
  otagate_str device;
  uint32_t window;         /* OTAGATE_WINDOW_* */
  uint32_t parts;          /* 1 to 16 */
  int64_t not_before_ms;   /* since 1970, 0: at once */
  uint32_t needs_confirm;  /* 1: nothing starts before upstream was told that somebody agreed */
  uint32_t reserved;
} otagate_assignment;

typedef struct otagate_assignment_part {
  uint32_t size;
  uint32_t index;
  otagate_str component;  /* "application", "bootloader", "modem" */
  otagate_str name;
  otagate_str version;
  otagate_str params;     /* packed as metadata is */
  const otagate_object *object; /* what list() would say of it */
  OTAGATE_SLOT(object)
} otagate_assignment_part;

#define OTAGATE_FEEDBACK_PROGRESS 0u
#define OTAGATE_FEEDBACK_DOWNLOADED 1u
#define OTAGATE_FEEDBACK_SUCCESS 2u
#define OTAGATE_FEEDBACK_FAILURE 3u
#define OTAGATE_FEEDBACK_CANCELLED 4u
#define OTAGATE_FEEDBACK_CANCEL_REFUSED 5u
#define OTAGATE_FEEDBACK_CONFIRMED 6u
#define OTAGATE_FEEDBACK_DENIED 7u

/* At least once, in order per external_id. OTAGATE_NOT_FOUND: upstream is done with it. */
typedef struct otagate_feedback {
  uint32_t size;
  uint32_t kind; /* OTAGATE_FEEDBACK_* */
  otagate_str external_id;
  otagate_str device;
  uint64_t done;  /* PROGRESS: bytes of `total` */
  uint64_t total;
  int64_t at_ms;
  int32_t code;   /* of the device, 0: none */
  uint32_t reserved;
  otagate_str message;
} otagate_feedback;

/* ------------------------------------------------------------------ the tables */

/* A plugin's functions. Every call that takes an otagate_call ends with exactly one complete() of
 * it. A NULL function (or one beyond `size`) reads as OTAGATE_UNSUPPORTED. */
typedef struct otagate_storage {
  uint32_t size;
  uint32_t reserved;
  /* What this instance can do. Called once, after create(); returns at once. */
  void (*caps)(void *self, otagate_store_caps *caps);
  OTAGATE_SLOT(caps)
  /* One page: object() for each, then complete with otagate_list_result. Any order of keys, but the
   * same one for all pages of a run; ascending by bytes makes the host's comparison cheapest. */
  void (*list)(void *self, otagate_call call, const otagate_list_request *request);
  OTAGATE_SLOT(list)
  void (*stat)(void *self, otagate_call call, const otagate_stat_request *request);
  OTAGATE_SLOT(stat)
  /* begin() where something is known, sink() for the bytes in order, then complete. A range that
   * reaches past the end of the object gives what is there; one that starts at the end or beyond
   * gives nothing; both complete with OTAGATE_OK. */
  void (*fetch)(void *self, otagate_call call, const otagate_fetch_request *request);
  OTAGATE_SLOT(fetch)
  void (*presign)(void *self, otagate_call call, const otagate_presign_request *request);
  OTAGATE_SLOT(presign)
  void (*publish)(void *self, otagate_call call, const otagate_publish_request *request);
  OTAGATE_SLOT(publish)
  void (*watch)(void *self, otagate_call call, const otagate_watch_request *request);
  OTAGATE_SLOT(watch)
  void (*unwatch)(void *self, otagate_call call, const otagate_watch_request *request);
  OTAGATE_SLOT(unwatch)
  void (*feedback)(void *self, otagate_call call, const otagate_feedback *feedback);
  OTAGATE_SLOT(feedback)
  /* The call should end soon; it still completes exactly once. Any thread, returns at once. May be
   * NULL: then the plugin learns of it by poll() or by what sink() answers. */
  void (*cancel)(void *self, otagate_call call);
  OTAGATE_SLOT(cancel)
  /* The sink takes bytes again after it said OTAGATE_PAUSE; may come before that sink() has returned.
   * Only without OTAGATE_PLUGIN_BLOCKING. */
  void (*resume)(void *self, otagate_call call);
  OTAGATE_SLOT(resume)
} otagate_storage;

/* What the host offers a store. Any thread. */
typedef struct otagate_storage_host {
  uint32_t size;
  uint32_t reserved;
  /* An object of the list(), stat() or publish() call. OTAGATE_CONTINUE or OTAGATE_STOP. */
  uint32_t (*object)(void *context, otagate_call call, const otagate_object *object);
  OTAGATE_SLOT(object)
  uint32_t (*begin)(void *context, otagate_call call, const otagate_fetch_info *info);
  OTAGATE_SLOT(begin)
  /* The next bytes of a fetch() call, at most OTAGATE_MESSAGE_MAX of them at a time. With
   * OTAGATE_PLUGIN_BLOCKING it may block (disk, bandwidth); else it may answer OTAGATE_PAUSE: the
   * bytes of that call were taken, wait for resume() before the next. */
  uint32_t (*sink)(void *context, otagate_call call, const void *data, uint64_t size);
  OTAGATE_SLOT(sink)
  /* Something in the store changed: list again soon. Hints are merged. `key` may be empty. */
  void (*changed)(void *context, otagate_instance instance, otagate_str key);
  OTAGATE_SLOT(changed)
  /* Assignments. Returns a handle for the parts, 0 when the bounds are reached. */
  uint64_t (*assignment)(void *context, otagate_instance instance, const otagate_assignment *assignment);
  OTAGATE_SLOT(assignment)
  void (*assignment_part)(void *context, uint64_t assignment, const otagate_assignment_part *part);
  OTAGATE_SLOT(assignment_part)
  void (*assignment_commit)(void *context, uint64_t assignment);
  OTAGATE_SLOT(assignment_commit)
  void (*assignment_cancel)(void *context, otagate_instance instance, otagate_str external_id);
  OTAGATE_SLOT(assignment_cancel)
} otagate_storage_host;

#ifdef __cplusplus
}
#endif

#endif
