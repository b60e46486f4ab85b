#include "api/loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace otagate::api {

Loop::Loop() : io_(std::make_unique<boost::asio::io_context>(1)) {}
Loop::~Loop() = default;

void Loop::post(std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (!closed_) boost::asio::post(*io_, std::move(work));
}

void Loop::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  io_->restart();
  io_->run();
}

}  // namespace otagate::api
