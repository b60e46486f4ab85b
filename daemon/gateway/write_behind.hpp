// Writes that follow each other without a wait for each: while one is on its way to the disk the next one is
// prepared.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "core/error.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

// For one thread, and none on which Database::write_sync is forbidden. Writes keep their order.
class WriteBehind {
 public:
  explicit WriteBehind(state::Database& db) : db_(db) {}
  ~WriteBehind() { (void)finish(); }
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Queues `work`, after waiting until few are under way. `then` is called by a later put() or finish(), on
  // their thread, once the write is durable. After an error nothing more is written: it is returned from
  // then on.
  Result<void> put(state::Database::Write work, std::function<void()> then) {
    while (writes_.size() >= kUnderWay && outcome_) take_first();
    if (!outcome_) return finish();
    auto promise = std::make_shared<std::promise<Result<void>>>();
    writes_.emplace_back(promise->get_future(), std::move(then));
    db_.write(std::move(work), [promise](Result<void> done) { promise->set_value(std::move(done)); });
    return {};
  }

  // Waits for all.
  Result<void> finish() {
    while (!writes_.empty()) take_first();
    return outcome_;
  }

 private:
  // The one that is being committed, and the next.
  static constexpr std::size_t kUnderWay = 2;

  void take_first() {
    auto [future, then] = std::move(writes_.front());
    writes_.pop_front();
    Result<void> done = future.get();
    if (!done && outcome_) outcome_ = std::move(done);
    if (outcome_) then();
  }

  state::Database& db_;
  std::deque<std::pair<std::future<Result<void>>, std::function<void()>>> writes_;
  Result<void> outcome_;
};

}  // namespace otagate::gateway
