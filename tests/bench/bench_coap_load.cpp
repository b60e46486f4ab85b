// CoAP Block2 load: N clients, each with a socket of its own, fetch one resource block by block and
// compare every byte. One thread, epoll; prints one JSON object.
//
//   bench_coap_load PORT PATH CLIENTS FILE [BLOCK-BYTES] [SECONDS]
//
// It is the same client for every server and has to be cheaper than any of them, so it knows CoAP no
// further than this: CON GET with Block2, piggy-backed 2.05, retransmission after RFC 7252's
// ACK_TIMEOUT (2 s, doubling, four times).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::uint8_t kContent = 0x45;
constexpr int kMaxTries = 5;

struct Client {
  int socket = -1;
  std::uint16_t mid = 0;
  std::uint32_t block = 0;
  std::string etag;
  int tries = 0;
  Clock::time_point due;  // of the retransmission
  bool done = false;
  bool failed = false;
  double seconds = 0;  // when it was done
};

struct Reply {
  std::uint8_t code = 0;
  std::uint16_t mid = 0;
  std::string_view etag;
  std::uint32_t block = 0;
  unsigned szx = 0;
  bool more = false;
  std::string_view payload;
};

class Load {
 public:
  Load(std::uint16_t port, std::string_view path, std::size_t clients, std::string body, unsigned szx)
      : body_(std::move(body)), szx_(szx), clients_(clients), epoll_(epoll_create1(0)) {
    std::string_view rest = path;
    unsigned previous = 0;
    while (!rest.empty()) {
      rest.remove_prefix(rest.front() == '/' ? 1 : 0);
      const auto end = std::min(rest.find('/'), rest.size());
      add_option(11 - previous, rest.substr(0, end));
      previous = 11;
      rest.remove_prefix(end);
    }
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      auto& client = clients_[i];
      client.socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (client.socket < 0 || connect(client.socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
        std::perror("socket");
        std::exit(2);
      }
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      epoll_ctl(epoll_, EPOLL_CTL_ADD, client.socket, &event);
      client.mid = static_cast<std::uint16_t>(i * 7919);
    }
  }

  void run(double limit) {
    begin_ = Clock::now();
    for (auto& client : clients_) send(client);
    std::array<epoll_event, 256> events;
    auto next_check = begin_;
    while (open_ > 0) {
      const auto now = Clock::now();
      if (Seconds(now - begin_).count() > limit) break;
      if (now >= next_check) {
        retransmit(now);
        next_check = now + std::chrono::milliseconds(50);
      }
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 50);
      for (int i = 0; i < count; ++i) receive(clients_[events[static_cast<std::size_t>(i)].data.u64]);
    }
    elapsed_ = Seconds(Clock::now() - begin_).count();
  }

  int report() const {
    std::size_t stalled = 0;
    std::size_t failed = 0;
    std::vector<double> times;
    for (const auto& client : clients_) {
      if (client.failed) {
        ++failed;
      } else if (!client.done) {
        ++stalled;
      } else {
        times.push_back(client.seconds);
      }
    }
    std::ranges::sort(times);
    const auto at = [&](double share) {
      return times.empty() ? 0
                           : times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
    };
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    std::printf(
        "{\"seconds\": %.4f, \"bytes\": %llu, \"done\": %zu, \"failed\": %zu, \"stalled\": %zu, "
        "\"retransmissions\": %llu, \"median\": %.4f, \"slowest\": %.4f, \"cpu\": %.3f}\n",
        elapsed_, static_cast<unsigned long long>(bytes_), times.size(), failed, stalled,
        static_cast<unsigned long long>(retransmissions_), at(0.5), at(1.0), cpu);
    return failed + stalled == 0 ? 0 : 1;
  }

 private:
  void add_option(unsigned delta, std::string_view value) {
    // Deltas here are below 13; lengths up to 255.
    const auto short_length = static_cast<unsigned>(std::min<std::size_t>(value.size(), 13));
    path_ += static_cast<char>(delta << 4 | short_length);
    if (short_length == 13) path_ += static_cast<char>(value.size() - 13);
    path_ += value;
  }

  void send(Client& client) {
    std::array<char, 512> out;
    std::size_t used = 0;
    const auto put = [&](unsigned byte) { out[used++] = static_cast<char>(byte); };
    put(0x44);  // version 1, CON, four bytes of token
    put(0x01);
    put(client.mid >> 8U);
    put(client.mid & 0xffU);
    put(0x6f);
    put(0x74);
    put(client.mid >> 8U);
    put(client.mid & 0xffU);
    std::memcpy(out.data() + used, path_.data(), path_.size());
    used += path_.size();
    const std::uint32_t block = client.block << 4 | szx_;
    const unsigned length = block > 0xffff ? 3 : block > 0xff ? 2 : block > 0 ? 1 : 0;
    put(12U << 4 | length);  // Block2 is 23, Uri-Path 11
    for (unsigned i = length; i-- > 0;) put(block >> (8 * i) & 0xffU);
    client.due = Clock::now() + std::chrono::seconds(2) * (1 << client.tries);
    ++client.tries;
    // A full buffer loses it as a network would; the retransmission follows.
    [[maybe_unused]] const auto sent = ::send(client.socket, out.data(), used, 0);
  }

  void retransmit(Clock::time_point now) {
    for (auto& client : clients_) {
      if (client.done || client.failed || now < client.due) continue;
      if (client.tries >= kMaxTries) {
        fail(client);
        continue;
      }
      ++retransmissions_;
      send(client);
    }
  }

  void fail(Client& client) {
    client.failed = true;
    --open_;
  }

  static bool parse(std::string_view in, Reply& reply) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(in[i])); };
    if (in.size() < 4) return false;
    const auto token = byte(0) & 0x0fU;
    reply.code = static_cast<std::uint8_t>(byte(1));
    reply.mid = static_cast<std::uint16_t>(byte(2) << 8 | byte(3));
    std::size_t at = 4 + token;
    unsigned number = 0;
    while (at < in.size() && byte(at) != 0xff) {
      unsigned delta = byte(at) >> 4;
      unsigned length = byte(at) & 0x0fU;
      ++at;
      for (auto* part : {&delta, &length}) {
        if (*part == 13 && at < in.size()) {
          *part = 13 + byte(at++);
        } else if (*part == 14 && at + 1 < in.size()) {
          *part = 269 + (byte(at) << 8 | byte(at + 1));
          at += 2;
        }
      }
      number += delta;
      if (length > in.size() - at) return false;
      if (number == 4) reply.etag = in.substr(at, length);
      if (number == 23) {
        std::uint32_t value = 0;
        for (unsigned i = 0; i < length; ++i) value = value << 8 | byte(at + i);
        reply.block = value >> 4;
        reply.more = (value & 8U) != 0;
        reply.szx = value & 7U;
      }
      at += length;
    }
    reply.payload = at < in.size() ? in.substr(at + 1) : std::string_view();
    return true;
  }

  void receive(Client& client) {
    std::array<char, 2048> in;
    const auto size = recv(client.socket, in.data(), in.size(), 0);
    Reply reply;
    if (size <= 0 || client.done || client.failed) return;
    if (!parse({in.data(), static_cast<std::size_t>(size)}, reply)) return;
    if (reply.mid != client.mid) return;  // an answer to a retransmitted request, seen before
    const auto offset = static_cast<std::size_t>(reply.block) << (reply.szx + 4);
    const bool same = reply.code == kContent && reply.block == client.block && reply.szx == szx_ &&
                      offset + reply.payload.size() <= body_.size() &&
                      std::memcmp(reply.payload.data(), body_.data() + offset, reply.payload.size()) == 0 &&
                      (client.etag.empty() || client.etag == reply.etag);
    if (!same) return fail(client);
    if (client.etag.empty()) client.etag = reply.etag;
    bytes_ += reply.payload.size();
    if (!reply.more) {
      client.done = true;
      client.failed = offset + reply.payload.size() != body_.size();
      client.seconds = Seconds(Clock::now() - begin_).count();
      --open_;
      return;
    }
    ++client.block;
    ++client.mid;
    client.tries = 0;
    send(client);
  }

  std::string body_;
  unsigned szx_;
  std::string path_;
  std::vector<Client> clients_;
  int epoll_;
  std::size_t open_ = clients_.size();
  Clock::time_point begin_;
  double elapsed_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t retransmissions_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: bench_coap_load PORT PATH CLIENTS FILE [BLOCK-BYTES] [SECONDS]\n", stderr);
    return 2;
  }
  std::ifstream file(argv[4], std::ios::binary);
  std::string body{std::istreambuf_iterator<char>(file), {}};
  unsigned szx = 0;
  while (szx < 6 && (16 << szx) < (argc > 5 ? std::atoi(argv[5]) : 1024)) ++szx;
  Load load(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2],
            static_cast<std::size_t>(std::atoi(argv[3])), std::move(body), szx);
  load.run(argc > 6 ? std::atof(argv[6]) : 120);
  return load.report();
}
