#include "gateway/services.hpp"

#include <algorithm>

#include "firmware/version.hpp"
#include "gateway/blob.hpp"

namespace otagate::gateway {

namespace {

const char* const kStalePrincipal = "the credentials have changed; present yours again";

}  // namespace

void Services::set_redirect(const std::string& store, std::shared_ptr<StoreClient> client,
                            std::chrono::milliseconds expiry) {
  const std::scoped_lock lock(mutex_);
  if (client)
    redirects_[store] = {std::move(client), expiry};
  else
    redirects_.erase(store);
}

bool Services::redirects(const std::string& store) const {
  const std::scoped_lock lock(mutex_);
  return redirects_.contains(store);
}

plugin::Firmware Services::to_firmware(const Entry& entry) const {
  const state::Firmware& row = entry.firmware;
  plugin::Firmware firmware;
  firmware.id = static_cast<std::uint64_t>(row.id);
  if (row.cached) firmware.flags |= OTAGATE_FIRMWARE_CACHED;
  if (firmware::is_prerelease(row.version)) firmware.flags |= OTAGATE_FIRMWARE_PRERELEASE;
  if (redirects(row.store_name)) firmware.flags |= OTAGATE_FIRMWARE_REDIRECT;
  state::Verified verified = row.verified;
  if (!row.blob) {
    // What the fill will at least be checked for.
    verified = row.expected_digest ? state::Verified::digest
               : row.size          ? state::Verified::length
                                   : state::Verified::none;
  }
  firmware.verified = static_cast<std::uint32_t>(verified);
  firmware.name = row.name;
  firmware.version = row.version;
  firmware.type = row.type;
  firmware.kind = row.kind;
  firmware.format = row.format;
  firmware.store = row.store_name;
  if (entry.digest) firmware.sha256 = entry.digest->hex();
  firmware.tag = entry.tag;
  firmware.size = row.size.value_or(OTAGATE_SIZE_UNKNOWN);
  firmware.modified_ms = entry.modified_ms;
  return firmware;
}

void Services::check_credential(std::string_view, plugin::Credential credential,
                                plugin::Reply<plugin::Principal> reply) {
  const Scheme scheme = credential.scheme == OTAGATE_AUTH_BEARER  ? Scheme::bearer
                        : credential.scheme == OTAGATE_AUTH_BASIC ? Scheme::basic
                                                                  : Scheme::none;
  auto principal = credentials_.check(scheme, credential.user, credential.secret);
  if (!principal)
    reply(fail(std::move(principal).error()));
  else
    reply(plugin::Principal{principal->id, principal->device, principal->type});
}

void Services::psk(std::string_view, std::string, plugin::Reply<plugin::Psk> reply) {
  reply(fail(Code::not_found, "no pre-shared keys are configured"));
}

void Services::resolve(std::string_view, plugin::ResolveRequest request,
                       plugin::Reply<std::vector<plugin::Firmware>> reply) {
  auto principal = credentials_.find(request.principal);
  if (!principal) {
    reply(fail(Code::denied, kStalePrincipal));
    return;
  }
  if (!request.digest.empty()) {
    const auto digest = Digest::parse(request.digest);
    if (!digest) {
      reply(fail(Code::invalid, "a SHA-256 has 64 hex digits"));
      return;
    }
    catalog_.by_digest(*digest, [this, principal, digest = *digest,
                                 reply = std::move(reply)](Result<std::vector<Entry>> entries) {
      if (!entries) {
        reply(fail(std::move(entries).error()));
        return;
      }
      for (const Entry& entry : *entries) {
        if (!principal->may_see(entry.firmware.type, entry.firmware.store_name)) continue;
        plugin::Firmware firmware = to_firmware(entry);
        firmware.tag = firmware.sha256 = digest.hex();
        reply(std::vector<plugin::Firmware>{std::move(firmware)});
        return;
      }
      // In the cache, but in no catalog: for those who may see everything.
      // And, what a store assigned need not be in one: for whoever an open attempt offers it to.
      const bool unrestricted =
          (principal->stores.empty() && principal->types.empty()) || fleet_.is_offered(digest, *principal);
      if (auto cached = cache_.open_cached(digest); unrestricted && entries->empty() && cached) {
        plugin::Firmware firmware;
        firmware.id = handle_of(digest);
        firmware.flags = OTAGATE_FIRMWARE_CACHED;
        firmware.tag = firmware.sha256 = digest.hex();
        firmware.size = (*cached)->size().value_or(OTAGATE_SIZE_UNKNOWN);
        reply(std::vector<plugin::Firmware>{std::move(firmware)});
        return;
      }
      reply(fail(Code::not_found, "no firmware has that SHA-256"));
    });
    return;
  }
  ResolveQuery query;
  query.principal = std::move(principal);
  query.name = std::move(request.name);
  query.version = std::move(request.version);
  query.type = std::move(request.type);
  query.prereleases = request.prereleases;
  catalog_.resolve(std::move(query), [this, reply = std::move(reply)](Result<std::vector<Entry>> entries) {
    if (!entries) {
      reply(fail(std::move(entries).error()));
      return;
    }
    std::vector<plugin::Firmware> found;
    for (const Entry& entry : *entries) found.push_back(to_firmware(entry));
    reply(std::move(found));
  });
}

void Services::catalog(std::string_view, plugin::CatalogRequest request,
                       plugin::Reply<plugin::CatalogPage> reply) {
  PageQuery query;
  query.principal = credentials_.find(request.principal);
  if (!query.principal) {
    reply(fail(Code::denied, kStalePrincipal));
    return;
  }
  query.name = std::move(request.name);
  query.type = std::move(request.type);
  query.store = std::move(request.store);
  query.cursor = std::move(request.cursor);
  query.limit = request.limit;
  catalog_.page(std::move(query), [this, reply = std::move(reply)](Result<Page> page) {
    if (!page) {
      reply(fail(std::move(page).error()));
      return;
    }
    plugin::CatalogPage answer;
    for (const Entry& entry : page->items) answer.items.push_back(to_firmware(entry));
    answer.cursor = std::move(page->next);
    reply(std::move(answer));
  });
}

// By which a transport opens bytes that are in no catalog; the same for the same bytes.
std::uint64_t Services::handle_of(const Digest& digest) {
  std::uint64_t handle = 0;
  for (std::size_t i = 0; i < sizeof handle; ++i)
    handle = handle << 8U | std::to_integer<std::uint64_t>(digest.bytes[i]);
  handle = (handle & (kDigestBit - 1)) | kDigestBit;
  const std::scoped_lock lock(mutex_);
  if (uncatalogued_.size() >= kMostUncatalogued && !uncatalogued_.contains(handle))
    uncatalogued_.erase(uncatalogued_.begin());
  uncatalogued_[handle] = digest;
  return handle;
}

void Services::open_digest(const plugin::OpenRequest& request, bool streaming,
                           const plugin::Reply<std::shared_ptr<plugin::Blob>>& reply) {
  const auto digest = Digest::parse(request.digest);
  if (!digest) {
    reply(fail(Code::invalid, "a SHA-256 has 64 hex digits"));
    return;
  }
  auto reader = cache_.open_cached(*digest, streaming, request.peer);
  if (!reader) {
    reply(fail(std::move(reader).error()));
    return;
  }
  reply(make_blob(cache_, std::move(*reader), digest->hex()));
}

void Services::open_entry(const Entry& entry, const plugin::OpenRequest& request, bool streaming,
                          const std::string& tag, const plugin::Reply<std::shared_ptr<plugin::Blob>>& reply) {
  OpenOptions options;
  options.streaming = streaming;
  options.peer = request.peer;
  options.offset = request.offset;
  options.timeout = request.timeout;
  opener_.open(entry, std::move(options), [this, tag, reply](Result<cache::ReaderPtr> reader) {
    if (!reader)
      reply(fail(std::move(reader).error()));
    else
      reply(make_blob(cache_, std::move(*reader), tag));
  });
}

void Services::open(std::string_view, plugin::OpenRequest request, bool streaming,
                    plugin::Reply<std::shared_ptr<plugin::Blob>> reply) {
  auto principal = credentials_.find(request.principal);
  if (!principal) {
    reply(fail(Code::denied, kStalePrincipal));
    return;
  }
  if (request.firmware == 0) {
    open_digest(request, streaming, reply);
    return;
  }
  if ((request.firmware & kPartBit) != 0) {
    open_part(principal, std::move(request), streaming, reply);
    return;
  }
  if ((request.firmware & kDigestBit) != 0) {
    {
      const std::scoped_lock lock(mutex_);
      const auto found = uncatalogued_.find(request.firmware);
      request.digest = found == uncatalogued_.end() ? std::string() : found->second.hex();
    }
    if (request.digest.empty()) return reply(fail(Code::not_found, "no such firmware"));
    open_digest(request, streaming, reply);
    return;
  }
  const auto id = static_cast<std::int64_t>(request.firmware);
  catalog_.get(id, [this, principal, request = std::move(request), streaming,
                    reply = std::move(reply)](Result<Entry> entry) {
    if (!entry || !principal->may_see(entry->firmware.type, entry->firmware.store_name)) {
      reply(fail(entry ? Error(Code::not_found, "no such firmware") : std::move(entry).error()));
      return;
    }
    open_entry(*entry, request, streaming, entry->tag, reply);
  });
}

void Services::presign(std::string_view, plugin::RedirectRequest request, plugin::Reply<std::string> reply) {
  auto principal = credentials_.find(request.principal);
  if (!principal) {
    reply(fail(Code::denied, kStalePrincipal));
    return;
  }
  if ((request.firmware & kPartBit) != 0) {
    reply(fail(Code::unsupported, "what an attempt was offered is served from here"));
    return;
  }
  const auto id = static_cast<std::int64_t>(request.firmware);
  catalog_.get(id, [this, principal, request, reply = std::move(reply)](Result<Entry> entry) {
    if (!entry || !principal->may_see(entry->firmware.type, entry->firmware.store_name)) {
      reply(fail(entry ? Error(Code::not_found, "no such firmware") : std::move(entry).error()));
      return;
    }
    Redirect redirect;
    {
      const std::scoped_lock lock(mutex_);
      const auto found = redirects_.find(entry->firmware.store_name);
      if (found != redirects_.end()) redirect = found->second;
    }
    if (!redirect.client) {
      reply(fail(Code::unsupported, "the store does not redirect"));
      return;
    }
    redirect.client->presign(entry->firmware.key, entry->firmware.change_token, request.head, redirect.expiry,
                             request.timeout, reply);
  });
}

// The bytes that an attempt was offered, whatever its firmware points to by now.
void Services::open_part(const std::shared_ptr<const Principal>& principal, plugin::OpenRequest request,
                         bool streaming, const plugin::Reply<std::shared_ptr<plugin::Blob>>& reply) {
  const auto part = fleet_.open_part(request.firmware);
  if (!part || (!principal->device.empty() && principal->device != part->device && !principal->gateway)) {
    reply(fail(Code::not_found, "that attempt is over"));
    return;
  }
  request.firmware = 0;
  request.digest = part->digest.hex();
  if (auto cached = cache_.open_cached(part->digest, streaming, request.peer); cached) {
    reply(make_blob(cache_, std::move(*cached), request.digest));
    return;
  }
  // It was quarantined, or is still on its way.
  catalog_.by_digest(part->digest, [this, request = std::move(request), streaming,
                                    reply](Result<std::vector<Entry>> entries) {
    if (!entries || entries->empty()) {
      reply(fail(entries ? Error(Code::not_found, "no store has those bytes any more")
                         : std::move(entries).error()));
      return;
    }
    open_entry(entries->front(), request, streaming, request.digest, reply);
  });
}

void Services::check_in(std::string_view instance, plugin::CheckIn check_in,
                        plugin::Reply<plugin::Offer> reply) {
  auto principal = credentials_.find(check_in.principal);
  if (!principal) {
    reply(fail(Code::denied, kStalePrincipal));
    return;
  }
  fleet_.check_in(instance, std::move(principal), std::move(check_in), std::move(reply));
}

void Services::progress(std::string_view instance, plugin::Progress progress,
                        plugin::Reply<std::uint32_t> reply) {
  auto principal = credentials_.find(progress.principal);
  if (!principal) {
    reply(fail(Code::denied, kStalePrincipal));
    return;
  }
  fleet_.progress(instance, std::move(principal), std::move(progress), reply);
}

}  // namespace otagate::gateway
