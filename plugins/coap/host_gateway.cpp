#include "host_gateway.hpp"

namespace otagate::coap {

HostGateway::HostGateway(const sdk::TransportHost& host, Inbox& inbox, bool prereleases)
    : host_(host),
      inbox_(inbox),
      prereleases_(prereleases),
      self_(std::make_shared<HostGateway*>(this)),
      revoke_{self_} {}

template <class T, class Done>
auto HostGateway::through_inbox(Done done) {
  return [&inbox = inbox_, self = self_, done = std::move(done)](Outcome<T> outcome) {
    // Readers are move-only, what is posted must be copyable.
    auto shared = std::make_shared<Outcome<T>>(std::move(outcome));
    inbox.post([self, done, shared] {
      if (*self != nullptr) done(std::move(*shared));
    });
  };
}

std::uint64_t HostGateway::catalog_version() const {
  // Both only grow; who may see what matters as much as what there is.
  return host_.catalog_version() + host_.epoch();
}

void HostGateway::resolve(const ResolveQuery& query,
                          std::function<void(Outcome<std::vector<Firmware>>)> done) {
  host_.resolve(sdk::ResolveRequest{.principal = 0,
                                    .name = query.name,
                                    .version = query.version,
                                    .type = query.type,
                                    .digest = query.digest,
                                    .prereleases = prereleases_},
                through_inbox<std::vector<Firmware>>(std::move(done)));
}

void HostGateway::catalog(const CatalogQuery& query, std::function<void(Outcome<FirmwarePage>)> done) {
  host_.catalog(sdk::CatalogRequest{.principal = 0,
                                    .limit = query.limit,
                                    .cursor = query.cursor,
                                    .name = query.name,
                                    .type = query.type,
                                    .store = query.store},
                through_inbox<FirmwarePage>(std::move(done)));
}

void HostGateway::open(const OpenQuery& query, std::function<void(Outcome<OpenBlob>)> done) {
  host_.open(sdk::OpenRequest{.principal = 0,
                              .firmware = query.firmware,
                              .digest = {},
                              .peer = query.peer,
                              .offset = query.offset,
                              .deadline_ms = static_cast<std::uint64_t>(query.deadline.count()),
                              .verified_only = query.verified_only},
             through_inbox<sdk::Reader>([this, done = std::move(done)](Outcome<sdk::Reader> opened) {
               Outcome<OpenBlob> out{opened.status, opened.retry_after_ms, std::move(opened.message), {}};
               if (opened) {
                 const auto id = next_reader_++;
                 auto& reader = readers_[id] = std::move(opened.value);
                 out.value = OpenBlob{.reader = id,
                                      .fd = reader.fd(),
                                      .page = reader.page(),
                                      .tag = reader.tag(),
                                      .sha256 = reader.sha256(),
                                      .size = reader.size()};
               }
               done(std::move(out));
             }));
}

void HostGateway::want(std::uint64_t reader, std::uint64_t offset, std::uint64_t length,
                       std::chrono::milliseconds deadline, std::function<void(Outcome<std::uint64_t>)> done) {
  const auto it = readers_.find(reader);
  if (it == readers_.end()) {
    Outcome<std::uint64_t> closed;
    closed.status = OTAGATE_CANCELLED;
    through_inbox<std::uint64_t>(std::move(done))(std::move(closed));
    return;
  }
  it->second.want(offset, length, static_cast<std::uint64_t>(deadline.count()),
                  through_inbox<std::uint64_t>(std::move(done)));
}

void HostGateway::report_bad(std::uint64_t reader, std::string_view why) {
  const auto it = readers_.find(reader);
  if (it != readers_.end()) it->second.report_bad(why);
}

void HostGateway::check_credential(const sdk::Credential& credential,
                                   std::function<void(Outcome<sdk::Principal>)> done) {
  host_.check_credential(credential, through_inbox<sdk::Principal>(std::move(done)));
}

void HostGateway::close(std::uint64_t reader) { readers_.erase(reader); }

}  // namespace otagate::coap
