#include "http/head.hpp"

#include "http/problem.hpp"

namespace otagate::http {

void write_start(HeadWriter& out, const HeadStart& start) {
  switch (start.status) {
    case 200: out << "HTTP/1.1 200 OK\r\n"; break;
    case 206: out << "HTTP/1.1 206 Partial Content\r\n"; break;
    default:
      out << "HTTP/1.1 " << std::uint64_t{start.status} << " " << reason_phrase(start.status) << "\r\n";
      break;
  }
  if (!start.date.empty()) out << "Date: " << start.date << "\r\n";
  if (!start.keep_alive) {
    out << "Connection: close\r\n";
  } else if (!start.http_1_1) {
    out << "Connection: keep-alive\r\n";
  }
}

}  // namespace otagate::http
