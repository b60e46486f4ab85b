/* A device's side of Drogue's firmware update protocol in plain C99: its status in CBOR, the gateway's
 * command, and what to do next. No allocation, no I/O, no Zephyr; one thread.
 *
 *   drogue_status() -> POST /v1/dfu -> drogue_command() -> do what it says -> drogue_status() ...
 */
#ifndef OTAGATE_EXAMPLE_DROGUE_H
#define OTAGATE_EXAMPLE_DROGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  DROGUE_MAX_VERSION = 16, /* what devices of this protocol keep */
  DROGUE_MAX_STATUS = 64,
  DROGUE_SHA256 = 32
};

struct drogue_version {
  uint8_t length; /* 0: none */
  uint8_t bytes[DROGUE_MAX_VERSION];
};

struct drogue_device {
  struct drogue_version running;
  struct drogue_version coming; /* what there is a part of */
  uint32_t offset;              /* of it, all of it in the flash */
  uint32_t mtu;                 /* bytes of a block at most */
  uint32_t correlation_id;      /* of the last status */
  uint32_t write_size;          /* of the flash: every block but the last is a multiple of it */
};

enum drogue_action {
  DROGUE_NOTHING,  /* ask again in `wait_s` */
  DROGUE_WRITE,    /* put data at `offset`, then drogue_written(); at offset 0 erase first */
  DROGUE_SWAP,     /* check the image's first device->offset bytes, then start it */
  DROGUE_MALFORMED /* not understood, or not what this device can do: ask again in a while */
};

struct drogue_step {
  enum drogue_action action;
  uint32_t wait_s; /* 0: as the device likes */
  uint32_t offset;
  const uint8_t* data; /* inside the command that was given */
  size_t length;
  bool has_checksum;
  uint8_t sha256[DROGUE_SHA256];
};

/* `version` without its terminator: 1 to 16 bytes, else false. */
bool drogue_init(struct drogue_device* device, const char* version, uint32_t mtu, uint32_t write_size);

/* Writes the status to send; its length, or 0 where `size` is too small (DROGUE_MAX_STATUS always does). */
size_t drogue_status(struct drogue_device* device, uint8_t* out, size_t size);

/* What to do about the answer. `bytes` stay as they are until that is done. */
struct drogue_step drogue_command(const struct drogue_device* device, const uint8_t* bytes, size_t length);

/* A DROGUE_WRITE is in the flash. `bytes` are those of the command. */
void drogue_written(struct drogue_device* device, const uint8_t* bytes, size_t length);

/* The new image is not good, or has been started: there is no part of an update any more. */
void drogue_dropped(struct drogue_device* device);

#ifdef __cplusplus
}
#endif
#endif
