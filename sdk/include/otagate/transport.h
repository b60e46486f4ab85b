/* otagate plugin ABI, part 3 of 3: transports.
 *
 * All transports have one shape. Whether the device polls (HTTP, CoAP, MQTT) or the plugin goes
 * and finds it (serial, BLE, USB), the plugin checks the device in, gets an offer or nothing,
 * moves the bytes its own way, and reports progress and result. A blob reaches it as a read-only
 * descriptor plus the knowledge which parts are ready; bytes are never copied across.
 *
 * plugin.h has the rules for every struct and every call.
 */
#ifndef OTAGATE_TRANSPORT_H
#define OTAGATE_TRANSPORT_H

#include "otagate/plugin.h"
/* clang-format off */
#ifdef __cplusplus
extern "C" {
#endif

#define OTAGATE_TRANSPORT_1 "otagate.transport/1"
#define OTAGATE_TRANSPORT_HOST_1 "otagate.transport-host/1"

#ifndef OTAGATE_SIZE_UNKNOWN
#define OTAGATE_SIZE_UNKNOWN UINT64_MAX
#endif

/* The transport serves blobs while they are still being filled (page state FILLING). Without it
 * blob_open() completes only once the blob is verified. */
#define OTAGATE_TRANSPORT_STREAMING 1u

/* ------------------------------------------------------------------ who asks */

#define OTAGATE_AUTH_NONE 0u    /* nothing presented: OTAGATE_DENIED unless the host lets it */
#define OTAGATE_AUTH_BEARER 1u
#define OTAGATE_AUTH_BASIC 2u
#define OTAGATE_AUTH_PSK 3u     /* `user` is the identity; the handshake has proved the key */
#define OTAGATE_AUTH_CERTIFICATE 4u /* `user` is the subject, `secret` the SHA-256 of the certificate's
                                       DER in hex; the handshake has proved the key */

typedef struct otagate_credential {
  uint32_t size;
  uint32_t scheme; /* OTAGATE_AUTH_* */
  otagate_str user;
  otagate_str secret;
  otagate_str peer; /* address as text */
} otagate_credential;

/* Result of check_credential(). The principal is a handle that says who asks in later calls; it
 * stays valid until `epoch` on the instance's board changes, then check again. 0 is "anonymous". */
typedef struct otagate_principal {
  uint32_t size;
  uint32_t reserved;
  uint64_t principal;
  otagate_str device; /* bound to this device, or empty */
  otagate_str type;   /* bound to this device type, or empty */
} otagate_principal;

/* Result of psk(): the key for an identity. */
typedef struct otagate_psk {
  uint32_t size;
  uint32_t reserved;
  otagate_str key; /* bytes */
  uint64_t principal;
} otagate_psk;

/* ------------------------------------------------------------------ the catalog */

#define OTAGATE_VERIFIED_NONE 0u
#define OTAGATE_VERIFIED_LENGTH 1u
#define OTAGATE_VERIFIED_FORMAT 2u
#define OTAGATE_VERIFIED_DIGEST 3u
#define OTAGATE_VERIFIED_SIGNATURE 4u

#define OTAGATE_FIRMWARE_CACHED 1u     /* its blob is in the cache: opening it needs no uplink */
#define OTAGATE_FIRMWARE_PRERELEASE 2u
#define OTAGATE_FIRMWARE_REDIRECT 4u   /* its store wants redirects: presign() it */

/* One firmware, as resolve() and catalog() deliver it by reply.item. */
typedef struct otagate_firmware {
  uint32_t size;
  uint32_t flags;       /* OTAGATE_FIRMWARE_* */
  uint64_t id;          /* for blob_open() and presign() */
  otagate_str name;
  otagate_str version;
  otagate_str type;     /* may be empty */
  otagate_str kind;     /* "firmware", "software", "patch" */
  otagate_str format;   /* "mcuboot", "esp-idf", ..., or empty */
  otagate_str store;
  otagate_str sha256;   /* 64 hex digits, or empty until first filled */
  otagate_str tag;      /* entity tag, opaque text without quotes; stays while the bytes are the same */
  uint64_t blob_size;   /* or OTAGATE_SIZE_UNKNOWN */
  int64_t modified_ms;  /* 0: unknown */
  uint32_t verified;    /* OTAGATE_VERIFIED_* reached or, before the fill, promised */
  uint32_t reserved;
} otagate_firmware;

#define OTAGATE_RESOLVE_PRERELEASES 1u /* `latest` may be a pre-release */

/* (name, version, type) -> one firmware by item, OTAGATE_OK. `version` may be "latest". Empty type:
 * the principal's, else any; several: all of them by item and OTAGATE_AMBIGUOUS. `digest` instead of
 * name and version: the blob with that SHA-256. What the principal may not see is OTAGATE_NOT_FOUND. */
typedef struct otagate_resolve_request {
  uint32_t size;
  uint32_t flags; /* OTAGATE_RESOLVE_* */
  uint64_t principal;
  otagate_str name;
  otagate_str version;
  otagate_str type;
  otagate_str digest;
} otagate_resolve_request;

/* A page of the catalog by item, ordered by name, version, type. Empty filters match all. */
typedef struct otagate_catalog_request {
  uint32_t size;
  uint32_t limit;     /* 1 to 1,000 */
  uint64_t principal;
  otagate_str cursor; /* from the last page's result, or empty */
  otagate_str name;
  otagate_str type;
  otagate_str store;
} otagate_catalog_request;

typedef struct otagate_catalog_result {
  uint32_t size;
  uint32_t reserved;
  otagate_str cursor; /* empty: that was the last page */
} otagate_catalog_result;

/* ------------------------------------------------------------------ readers */

#define OTAGATE_BLOB_FILLING 0u
#define OTAGATE_BLOB_VERIFIED 1u
#define OTAGATE_BLOB_FAILED 2u   /* no further byte may leave */

/* Shared memory, written by the host, read by the plugin with atomic loads (acquire), also from
 * another process. One blob has one page however many readers it has. */
typedef struct otagate_blob_page {
  uint32_t size;
  uint32_t state;      /* OTAGATE_BLOB_* */
  uint64_t generation; /* of the fill */
  uint64_t ready;      /* bytes readable from offset 0 without a gap; only grows, but see FAILED */
  uint64_t total;      /* or OTAGATE_SIZE_UNKNOWN */
  uint8_t reserved[32];
} otagate_blob_page;

/* One per instance, shared memory like the page: counters that tell a cache inside the plugin
 * that it is stale. Read with atomic loads before serving from such a cache. */
typedef struct otagate_board {
  uint32_t size;
  uint32_t reserved;
  uint64_t catalog;  /* changes when any answer of resolve() or catalog() may */
  uint64_t epoch;    /* changes when credentials or who may see what do */
  uint8_t reserved2[40];
} otagate_board;

typedef uint64_t otagate_reader;

/* Open only what has been verified, although the transport declares STREAMING: until then the open
 * waits, and past its deadline says with retry_after_ms when to ask again. */
#define OTAGATE_OPEN_VERIFIED 1u

typedef struct otagate_open_request {
  uint32_t size;
  uint32_t flags; /* OTAGATE_OPEN_* */
  uint64_t principal;
  uint64_t firmware;     /* id of an otagate_firmware, or 0 and digest */
  otagate_str digest;
  otagate_str peer;      /* who gets the bytes: refused with OTAGATE_PRECONDITION when it holds bytes of a */
  uint64_t offset;       /*   rejected fill and goes on at an offset other than 0 */
  uint64_t deadline_ms;  /* from now; OTAGATE_DEADLINE with retry_after_ms when it is not open by then */
} otagate_open_request;

/* Result of blob_open(). The descriptor is read-only and belongs to the reader: use pread() or
 * sendfile() with offsets, never map it, never close it; blob_close() does. Bytes beyond
 * `page->ready` are not there yet unless blob_want() said so; the last 4 KiB of a blob are in no
 * file before they are verified. */
typedef struct otagate_blob {
  uint32_t size;
  int32_t fd;
  otagate_reader reader;
  const otagate_blob_page *page;
  OTAGATE_SLOT(page)
  otagate_str tag;
  otagate_str sha256; /* empty while unknown */
  uint64_t blob_size; /* or OTAGATE_SIZE_UNKNOWN */
} otagate_blob;

/* Replies when [offset, offset + min_length) is readable (to the end, where the blob ends before),
 * with otagate_want_result; or with FAILED's reason, OTAGATE_DEADLINE, OTAGATE_CANCELLED. What is
 * wanted is fetched next. */
typedef struct otagate_want_request {
  uint32_t size;
  uint32_t reserved;
  otagate_reader reader;
  uint64_t offset;
  uint64_t min_length;  /* 0 counts as 1 */
  uint64_t deadline_ms; /* from now */
} otagate_want_request;

typedef struct otagate_want_result {
  uint32_t size;
  uint32_t reserved;
  uint64_t readable; /* bytes from offset on; 0: offset is the end of the blob */
} otagate_want_result;

/* Result is an otagate_presigned (storage.h's layout: size, reserved, url). */
typedef struct otagate_redirect_request {
  uint32_t size;
  uint32_t method; /* 0 GET, 1 HEAD */
  uint64_t principal;
  uint64_t firmware;
  uint64_t deadline_ms;
} otagate_redirect_request;

typedef struct otagate_redirect {
  uint32_t size;
  uint32_t reserved;
  otagate_str url;
} otagate_redirect;

/* ------------------------------------------------------------------ devices, offers, attempts */

/* The device has not been started anew since it was last heard of: that it still runs what it ran before
 * says nothing about the update it is in the middle of (since 1.1). */
#define OTAGATE_CHECK_IN_MIDWAY 1u
/* Nobody said who he is: `device` is empty, `principal` is 0, and the device that the operator or its last
 * check-in has put at `address` of this instance is meant. OTAGATE_NOT_FOUND where that is none, more than
 * one, or one with a credential of its own. An address proves little: only for peers in networks where the
 * operator says that it does. Report the progress with `principal` and `device` empty (since 1.1). */
#define OTAGATE_CHECK_IN_BY_ADDRESS 2u

/* "I am X, I run V." Component versions follow by `versions`, packed as "component\0version\0";
 * an image hash may stand for a version as "component\0sha256:<hex>\0". */
typedef struct otagate_check_in {
  uint32_t size;
  uint32_t flags;          /* OTAGATE_CHECK_IN_* */
  uint64_t principal;
  otagate_str device;
  otagate_str type;
  otagate_str address;     /* transport's own: "10.0.0.7:5683", "/dev/ttyACM0", "AA:BB:..." */
  otagate_str versions;
  otagate_str attributes;  /* packed "key\0value\0" */
  otagate_str acting_for;  /* the gateway device that speaks for this one, or empty */
  uint64_t deadline_ms;    /* how long an answer without an offer may be held back (long poll); 0: none */
} otagate_check_in;

/* Result of check_in(). attempt 0: nothing to do, come back after next_after_ms. Otherwise an offer,
 * which is also the grant to start; its parts are asked for with offer_part(). An offer that is not
 * taken up by progress() within the lease lapses. A device that checks in while its attempt is open
 * is answered with the same attempt again; its number stays the same across restarts of the gateway,
 * so that it can stand in a URL. */
typedef struct otagate_offer {
  uint32_t size;
  uint32_t parts;              /* 1 to 16 */
  uint64_t attempt;
  uint64_t next_after_ms;
  uint64_t lease_ms;           /* progress() at least this often */
  otagate_str resume_token;    /* what the last progress() of this attempt gave, or empty */
  uint32_t mode;               /* 0 update, 1 download only */
  uint32_t reserved;
} otagate_offer;

typedef struct otagate_offer_part {
  uint32_t size;
  uint32_t index;
  uint64_t firmware;       /* for blob_open() */
  otagate_str component;
  otagate_str name;
  otagate_str version;
  otagate_str sha256;
  otagate_str params;      /* packed "key\0value\0" */
  uint64_t blob_size;
} otagate_offer_part;

#define OTAGATE_ATTEMPT_DOWNLOADING 0u
#define OTAGATE_ATTEMPT_DOWNLOADED 1u
#define OTAGATE_ATTEMPT_APPLYING 2u
#define OTAGATE_ATTEMPT_NEEDS_CONFIRM 3u /* answered OTAGATE_CONFIRM or OTAGATE_REVERT */
#define OTAGATE_ATTEMPT_CONFIRMED 4u     /* final */
#define OTAGATE_ATTEMPT_FAILED 5u        /* final */
#define OTAGATE_ATTEMPT_REVERTED 6u      /* final */

#define OTAGATE_CONFIRM 3u
#define OTAGATE_REVERT 4u

/* Renews the lease. Offsets of one part never go back without a new attempt, except that a device
 * may rewind within one transfer; the host keeps the largest. A final state ends the attempt:
 * exactly one per attempt. Reply: the completion's result is an otagate_answer; OTAGATE_NOT_FOUND
 * says that the attempt is over already. */
typedef struct otagate_progress {
  uint32_t size;
  uint32_t state;            /* OTAGATE_ATTEMPT_* */
  uint64_t attempt;
  uint32_t part;
  int32_t code;              /* the device's own, 0: none */
  uint64_t offset;
  otagate_str resume_token;  /* at most 256 bytes; kept at most once a second */
  otagate_str message;
  /* Who reports, when a peer does and not the transport itself (since 1.1): an attempt of another device
   * is OTAGATE_NOT_FOUND. Both empty: the transport vouches for the attempt. */
  uint64_t principal;
  otagate_str device;
} otagate_progress;

typedef struct otagate_answer {
  uint32_t size;
  uint32_t answer; /* OTAGATE_CONTINUE, _STOP, _CONFIRM, _REVERT */
} otagate_answer;

#define OTAGATE_REVOKED_CANCELLED 0u
#define OTAGATE_REVOKED_SUPERSEDED 1u
#define OTAGATE_REVOKED_PAUSED 2u
#define OTAGATE_REVOKED_SHUTDOWN 3u

/* ------------------------------------------------------------------ the tables */

typedef struct otagate_transport {
  uint32_t size;
  uint32_t flags; /* OTAGATE_TRANSPORT_* */
  /* Starts listening or looking for devices. Completes once it runs; a listener that cannot bind
   * completes too, says so with health(OTAGATE_BUSY) and retries by itself. */
  void (*start)(void *self, otagate_call call);
  OTAGATE_SLOT(start)
  /* Takes nothing new, ends what runs within deadline_ms, closes every reader, then completes. */
  void (*stop)(void *self, otagate_call call, uint64_t deadline_ms);
  OTAGATE_SLOT(stop)
  /* Files it was configured with (certificates, keys) may have changed: read them again. */
  void (*reload)(void *self, otagate_call call);
  OTAGATE_SLOT(reload)
  /* A new offer waits for that device: make it check in soon if you can. Returns at once. */
  void (*nudge)(void *self, otagate_str device);
  OTAGATE_SLOT(nudge)
  /* The attempt is over for the host: stop moving its bytes. Report no further progress. */
  void (*revoke)(void *self, uint64_t attempt, uint32_t reason);
  OTAGATE_SLOT(revoke)
  /* The catalog changed (CoAP Observe). Returns at once. Hints are merged, at most one a second. */
  void (*catalog_changed)(void *self);
  OTAGATE_SLOT(catalog_changed)
  void (*cancel)(void *self, otagate_call call);
  OTAGATE_SLOT(cancel)
} otagate_transport;

/* What the host offers a transport. Any thread; each returns at once. The calls with a reply
 * return a handle for otagate_host.cancel(); 0 when the instance has 65,536 open calls already,
 * then the reply is not called: answer the peer with "busy". */
typedef struct otagate_transport_host {
  uint32_t size;
  uint32_t reserved;
  const otagate_board *(*board)(void *context, otagate_instance instance);
  OTAGATE_SLOT(board)
  otagate_call (*check_credential)(void *context, otagate_instance instance,
                                   const otagate_credential *credential, const otagate_reply *reply);
  OTAGATE_SLOT(check_credential)
  otagate_call (*psk)(void *context, otagate_instance instance, otagate_str identity,
                      const otagate_reply *reply);
  OTAGATE_SLOT(psk)
  otagate_call (*resolve)(void *context, otagate_instance instance, const otagate_resolve_request *request,
                          const otagate_reply *reply);
  OTAGATE_SLOT(resolve)
  otagate_call (*catalog)(void *context, otagate_instance instance, const otagate_catalog_request *request,
                          const otagate_reply *reply);
  OTAGATE_SLOT(catalog)
  otagate_call (*blob_open)(void *context, otagate_instance instance, const otagate_open_request *request,
                            const otagate_reply *reply);
  OTAGATE_SLOT(blob_open)
  otagate_call (*blob_want)(void *context, otagate_instance instance, const otagate_want_request *request,
                            const otagate_reply *reply);
  OTAGATE_SLOT(blob_want)
  /* Open wants of the reader are cancelled. The descriptor and the page are gone afterwards. */
  void (*blob_close)(void *context, otagate_instance instance, otagate_reader reader);
  OTAGATE_SLOT(blob_close)
  otagate_call (*presign)(void *context, otagate_instance instance, const otagate_redirect_request *request,
                          const otagate_reply *reply);
  OTAGATE_SLOT(presign)
  otagate_call (*check_in)(void *context, otagate_instance instance, const otagate_check_in *check_in,
                           const otagate_reply *reply);
  OTAGATE_SLOT(check_in)
  /* Fills in one part of an offer. The strings live until the attempt ends: until its last progress()
   * is answered or revoke() returns. */
  uint32_t (*offer_part)(void *context, otagate_instance instance, uint64_t attempt, uint32_t index,
                         otagate_offer_part *part);
  OTAGATE_SLOT(offer_part)
  otagate_call (*progress)(void *context, otagate_instance instance, const otagate_progress *progress,
                           const otagate_reply *reply);
  OTAGATE_SLOT(progress)
  /* Reading the descriptor failed, or gave fewer bytes than `page->ready` promises: the host cuts all
   * readers of that blob, fetches it again, and says so. Close the reader. */
  void (*blob_bad)(void *context, otagate_instance instance, otagate_reader reader, otagate_str why);
  OTAGATE_SLOT(blob_bad)
} otagate_transport_host;

#ifdef __cplusplus
}
#endif

#endif
