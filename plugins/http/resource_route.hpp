// What this port serves by itself. Protocol handlers that ride on the port add their prefixes here.
#pragma once

#include "http/router.hpp"

namespace otagate::http {

enum class Resource {
  kFirmware,  // /firmware, /firmware/<name>/<version>[/<type>]
  kBlob,      // /blobs/sha256/<hex>
};

}  // namespace otagate::http
