/* Updates itself from an otagate gateway: Drogue's protocol over CoAP. The protocol is in drogue.c; here is
 * what belongs to Zephyr: the network, the second slot of the flash, the restart.
 */
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/net/coap.h>
#include <zephyr/net/coap_client.h>
#include <zephyr/net/socket.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/reboot.h>
#ifdef CONFIG_MCUBOOT_IMG_MANAGER
#include <zephyr/dfu/mcuboot.h>
#endif

#include <stdio.h>
#include <string.h>

#include "drogue.h"

LOG_MODULE_REGISTER(otagate, LOG_LEVEL_INF);

#define SLOT FIXED_PARTITION_ID(slot1_partition)

static struct coap_client client;
static struct drogue_device device;
static K_SEM_DEFINE(answered, 0, 1);
/* Of the answer: written by the client's thread before `answered` is given, read after it is taken. */
static uint8_t answer[CONFIG_OTAGATE_MTU + 64];
static size_t answer_length;
static int answer_code;

static void on_answer(int16_t code, size_t offset, const uint8_t* payload, size_t length, bool last,
                      void* context) {
  ARG_UNUSED(context);
  if (code < 0 || offset + length > sizeof(answer)) {
    answer_code = code < 0 ? code : -ENOBUFS;
    answer_length = 0;
    k_sem_give(&answered);
    return;
  }
  if (length > 0) {
    memcpy(answer + offset, payload, length);
  }
  answer_length = offset + length;
  if (last) {
    answer_code = code;
    k_sem_give(&answered);
  }
}

/* 0 once there is an answer of class 2; else a negative error. */
static int ask(int sock) {
  static char path[96];
  static uint8_t status[DROGUE_MAX_STATUS];
  struct coap_client_request request = {
      .method = COAP_METHOD_POST,
      .confirmable = true,
      .path = path,
      .fmt = COAP_CONTENT_FORMAT_APP_CBOR,
      .payload = status,
      .cb = on_answer,
  };
  int error;

  snprintf(path, sizeof(path), "v1/dfu?device=%s&type=%s", CONFIG_OTAGATE_DEVICE, CONFIG_OTAGATE_TYPE);
  request.len = drogue_status(&device, status, sizeof(status));
  k_sem_reset(&answered);
  error = coap_client_req(&client, sock, NULL, &request, NULL);
  if (error != 0) {
    return error;
  }
  if (k_sem_take(&answered, K_SECONDS(120)) != 0) {
    coap_client_cancel_requests(&client);
    return -ETIMEDOUT;
  }
  if (answer_code < 0) {
    return answer_code;
  }
  return answer_code >> 5 == 2 ? 0 : -EPROTO;
}

/* The last block may be shorter than what the flash takes at once: the rest is what erased flash reads. */
static int write_block(const struct drogue_step* step) {
  static uint8_t block[CONFIG_OTAGATE_MTU + 16];
  const struct flash_area* slot;
  const size_t rounded = ROUND_UP(step->length, device.write_size);
  int error = flash_area_open(SLOT, &slot);

  if (error != 0) {
    return error;
  }
  if (rounded > sizeof(block) || step->offset + rounded > slot->fa_size) {
    error = -EFBIG;
  } else {
    memset(block, flash_area_erased_val(slot), rounded);
    memcpy(block, step->data, step->length);
    if (step->offset == 0) {
      error = flash_area_erase(slot, 0, slot->fa_size);
    }
    if (error == 0) {
      error = flash_area_write(slot, step->offset, block, rounded);
    }
  }
  flash_area_close(slot);
  return error;
}

static int check_image(const struct drogue_step* step) {
  static uint8_t buffer[256];
  const struct flash_area* slot;
  const struct flash_area_check check = {
      .match = step->sha256,
      .clen = device.offset,
      .off = 0,
      .rbuf = buffer,
      .rblen = sizeof(buffer),
  };
  int error = flash_area_open(SLOT, &slot);

  if (error == 0) {
    error = flash_area_check_int_sha256(slot, &check);
    flash_area_close(slot);
  }
  return error;
}

static void swap(const struct drogue_step* step) {
  if (!step->has_checksum || check_image(step) != 0) {
    LOG_ERR("the image in the second slot is not what was sent; it is dropped");
    drogue_dropped(&device);
    return;
  }
#ifdef CONFIG_MCUBOOT_IMG_MANAGER
  if (boot_request_upgrade(BOOT_UPGRADE_TEST) != 0) {
    LOG_ERR("the boot loader does not take the image; it is dropped");
    drogue_dropped(&device);
    return;
  }
  LOG_INF("restarting into the new image");
  sys_reboot(SYS_REBOOT_COLD);
#else
  /* Without a boot loader there is nothing to start: from here on it says that it runs the new version. */
  LOG_INF("the image is good; without MCUboot the new version is only pretended");
  device.running = device.coming;
  drogue_dropped(&device);
#endif
}

static int connect_gateway(void) {
  struct sockaddr_in gateway = {
      .sin_family = AF_INET,
      .sin_port = htons(CONFIG_OTAGATE_PORT),
  };
  int sock;

  if (zsock_inet_pton(AF_INET, CONFIG_OTAGATE_GATEWAY, &gateway.sin_addr) != 1) {
    LOG_ERR("CONFIG_OTAGATE_GATEWAY is no IPv4 address: %s", CONFIG_OTAGATE_GATEWAY);
    return -EINVAL;
  }
  sock = zsock_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  if (sock < 0 || zsock_connect(sock, (struct sockaddr*)&gateway, sizeof(gateway)) != 0) {
    return -errno;
  }
  return sock;
}

int main(void) {
  int sock;

  if (!drogue_init(&device, CONFIG_OTAGATE_VERSION, CONFIG_OTAGATE_MTU, CONFIG_OTAGATE_WRITE_SIZE)) {
    LOG_ERR("CONFIG_OTAGATE_VERSION has to have 1 to 16 bytes");
    return -EINVAL;
  }
  if (coap_client_init(&client, NULL) != 0) {
    return -EIO;
  }
  sock = connect_gateway();
  if (sock < 0) {
    return sock;
  }
#ifdef CONFIG_MCUBOOT_IMG_MANAGER
  bool confirmed = boot_is_img_confirmed();
#endif
  while (true) {
    uint32_t wait_s = CONFIG_OTAGATE_INTERVAL;
    struct drogue_step step;

    if (ask(sock) != 0) {
      LOG_WRN("no answer from %s", CONFIG_OTAGATE_GATEWAY);
      k_sleep(K_SECONDS(wait_s));
      continue;
    }
#ifdef CONFIG_MCUBOOT_IMG_MANAGER
    /* It reaches the gateway, so it can be repaired from there: the boot loader may keep it. */
    if (!confirmed) {
      confirmed = boot_write_img_confirmed() == 0;
    }
#endif
    step = drogue_command(&device, answer, answer_length);
    switch (step.action) {
      case DROGUE_WRITE:
        if (write_block(&step) == 0) {
          drogue_written(&device, answer, answer_length);
          continue;
        }
        LOG_ERR("the flash does not take %u bytes at %u", (unsigned)step.length, (unsigned)step.offset);
        drogue_dropped(&device);
        break;
      case DROGUE_SWAP: swap(&step); continue;
      case DROGUE_MALFORMED: LOG_WRN("a command that this device cannot follow"); break;
      case DROGUE_NOTHING: wait_s = step.wait_s > 0 ? step.wait_s : wait_s; break;
    }
    k_sleep(K_SECONDS(wait_s));
  }
}
