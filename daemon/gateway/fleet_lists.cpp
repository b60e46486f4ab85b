// Fleet::Core: lists, page by page, and what has to be read for them. Nothing here holds the fleet's thread
// up: rows are read on the database's, in short steps, and a filter looks at some devices at a time.
#include <algorithm>

#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

constexpr std::size_t kMostItems = 1000;
constexpr std::size_t kDevicesOfATurn = 1000;
// Rows of one read at first; a read that takes too long is tried again with half of them.
constexpr std::size_t kRowsOfARead = 100;
constexpr int kTries = 16;

bool fits(const fleet::Device& device, const rollout::DeviceQuery& query) {
  if (!query.type.empty() && device.type != query.type) return false;
  if (!query.transport.empty() && device.transport != query.transport) return false;
  if (query.approval && device.approval != *query.approval) return false;
  if (!query.tag.empty() && !std::binary_search(device.tags.begin(), device.tags.end(), query.tag))
    return false;
  if (query.version.empty()) return query.component.empty() || device.versions.contains(query.component);
  return std::any_of(device.versions.begin(), device.versions.end(), [&](const auto& item) {
    return (query.component.empty() || item.first == query.component) && item.second == query.version;
  });
}

}  // namespace

// ------------------------------------------------------------------ reading

void Fleet::Core::read_in_steps(const ReadStep& step, const std::function<void(const Result<void>&)>& done) {
  read_on(step, done, kRowsOfARead, 0);
}

void Fleet::Core::read_on(const ReadStep& step, const std::function<void(const Result<void>&)>& done,
                          std::size_t rows, int tries) {
  auto more = std::make_shared<bool>(false);
  db_.read(
      [step, more, rows](state::Reader& db) -> Result<void> {
        auto left = step(db, rows);
        if (!left) return fail(std::move(left).error());
        *more = *left;
        return {};
      },
      [weak = weak_from_this(), step, done, more, rows, tries](const Result<void>& outcome) {
        const auto self = weak.lock();
        if (!self) return done(fail(Code::cancelled, "the gateway is stopping"));
        if (!outcome && outcome.error().code() == Code::deadline && tries < kTries)
          return self->read_on(step, done, std::max<std::size_t>(1, rows / 2), tries + 1);
        if (outcome && *more) return self->read_on(step, done, rows, 0);
        done(outcome);
      });
}

// What follows a read: refused where that failed, else a request of its own.
template <class T>
std::function<void(const Result<void>&)> Fleet::Core::afterwards(const Fleet::Reply<T>& reply,
                                                                 std::function<void()> work) {
  return [weak = weak_from_this(), reply, work = std::move(work)](const Result<void>& outcome) {
    const auto self = weak.lock();
    if (!outcome || !self)
      return reply(fail(outcome ? Error(Code::cancelled, "the gateway is stopping") : outcome.error()));
    self->request(reply, work);
  };
}

// Their figures are in the rows of their members.
Fleet::Core::ReadStep Fleet::Core::step_of_members(EndedDeployments of) {
  struct Place {
    std::size_t deployment = 0;
    std::int64_t after = 0;
  };
  return [of = std::move(of), place = std::make_shared<Place>()](state::Reader& db,
                                                                 std::size_t rows) -> Result<bool> {
    if (place->deployment == of->size()) return false;
    EndedDeployment& ended = (*of)[place->deployment];
    auto page = state::page_members(db, ended.row.id, place->after, rows);
    if (!page) return fail(std::move(page).error());
    ended.members.insert(ended.members.end(), page->begin(), page->end());
    const bool more = page->size() == rows;
    place->deployment += more ? 0 : 1;
    place->after = more ? page->back().device : 0;
    return place->deployment < of->size();
  };
}

void Fleet::Core::restore(Deployment& deployment, const std::vector<state::MemberRow>& rows) const {
  for (const state::MemberRow& row : rows) {
    if (!devices_.contains(row.device)) continue;
    rollout::Member member;
    member.state = static_cast<rollout::MemberState>(row.state);
    member.admitted = row.admitted;
    member.attempts = row.attempts;
    deployment.rollout.restore(row.device, member);
  }
}

rollout::DeploymentView Fleet::Core::view_of(const EndedDeployment& ended) const {
  auto deployment = deployment_of(ended.row);
  if (!deployment) return view(ended.row);
  restore(*deployment, ended.members);
  return view(*deployment);
}

// `then` runs on the fleet's thread; a deployment that is not there is refused before.
template <class T>
void Fleet::Core::with_ended(std::int64_t id, const Fleet::Reply<T>& reply,
                             std::function<void(const EndedDeployment&)> then) {
  const auto found = std::make_shared<std::vector<EndedDeployment>>();
  read_in_steps(
      [found, id, members = step_of_members(found)](state::Reader& db, std::size_t rows) -> Result<bool> {
        if (!found->empty()) return members(db, rows);
        auto row = state::find_deployment(db, id);
        if (!row) return fail(std::move(row).error());
        if (*row) found->push_back({std::move(**row), {}});
        return !found->empty();
      },
      afterwards(reply, [this, found, id, reply, then = std::move(then)] {
        if (found->empty())
          return refuse(reply, Error(Code::not_found, "there is no deployment " + std::to_string(id)));
        then(found->front());
      }));
}

// ------------------------------------------------------------------ devices

void Fleet::Core::devices(const rollout::DeviceQuery& query, const Fleet::Reply<rollout::DevicePage>& reply) {
  look_through(query, reply, std::make_shared<rollout::DevicePage>());
}

// From the query's cursor on, some devices at a time: whoever waits for the fleet gets his turn in between.
void Fleet::Core::look_through(rollout::DeviceQuery query, const Fleet::Reply<rollout::DevicePage>& reply,
                               const std::shared_ptr<rollout::DevicePage>& page) {
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMostItems);
  page->devices = devices_.size();
  auto it = query.cursor.empty() ? by_id_.lower_bound(query.prefix)
                                 : by_id_.upper_bound(std::max(query.cursor, query.prefix));
  if (!query.cursor.empty() && query.cursor < query.prefix) it = by_id_.lower_bound(query.prefix);
  for (std::size_t seen = 0; it != by_id_.end() && it->first.starts_with(query.prefix); ++it, ++seen) {
    if (seen == kDevicesOfATurn) {
      request(reply, [this, query = std::move(query), reply, page] { look_through(query, reply, page); });
      return;
    }
    query.cursor = it->first;
    const Device& device = devices_.at(it->second);
    if (!fits(device, query)) continue;
    if (page->items.size() == limit) {
      page->next = page->items.back().id;
      break;
    }
    page->items.push_back(view(device));
  }
  answer(reply, std::move(*page));
}

// ------------------------------------------------------------------ deployments

void Fleet::Core::deployments(const rollout::DeploymentQuery& query,
                              const Fleet::Reply<std::vector<rollout::DeploymentView>>& reply) {
  auto rows = std::make_shared<std::vector<state::DeploymentRow>>();
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMostItems);
  db_.read(
      [rows, query, limit](state::Reader& db) -> Result<void> {
        auto page = state::page_deployments(db, query.before, query.over, limit);
        if (!page) return fail(std::move(page).error());
        *rows = std::move(*page);
        return {};
      },
      afterwards(reply, [this, rows, reply] { show(*rows, reply); }));
}

// Those that have ended are shown with what their members' rows say, the others as they are now.
void Fleet::Core::show(const std::vector<state::DeploymentRow>& rows,
                       const Fleet::Reply<std::vector<rollout::DeploymentView>>& reply) {
  const auto ended = std::make_shared<std::vector<EndedDeployment>>();
  for (const state::DeploymentRow& row : rows) {
    if (find_deployment(row.id) == nullptr) ended->push_back({row, {}});
  }
  const auto views = [this, rows, ended, reply] {
    std::vector<rollout::DeploymentView> all;
    auto next = ended->begin();
    for (const state::DeploymentRow& row : rows) {
      const bool over = next != ended->end() && next->row.id == row.id;
      const Deployment* const open = find_deployment(row.id);
      // One that has ended just now is shown as its row was.
      all.push_back(open != nullptr ? view(*open) : over ? view_of(*next) : view(row));
      if (over) ++next;
    }
    answer(reply, std::move(all));
  };
  if (ended->empty()) return views();
  read_in_steps(step_of_members(ended), afterwards(reply, views));
}

void Fleet::Core::deployment(std::int64_t id, const Fleet::Reply<rollout::DeploymentView>& reply) {
  if (const Deployment* const open = find_deployment(id); open != nullptr) return answer(reply, view(*open));
  with_ended(id, reply, [this, reply](const EndedDeployment& ended) { answer(reply, view_of(ended)); });
}

// ------------------------------------------------------------------ members and attempts

void Fleet::Core::members(std::int64_t id, const std::string& after, std::size_t limit,
                          const Fleet::Reply<std::vector<rollout::MemberView>>& reply) {
  if (const Deployment* const open = find_deployment(id); open != nullptr)
    return show_members(*open, after, limit, reply);
  with_ended(id, reply, [this, id, after, limit, reply](const EndedDeployment& ended) {
    auto deployment = deployment_of(ended.row);
    if (!deployment)
      return refuse(reply,
                    Error(Code::internal, "the row of deployment " + std::to_string(id) + " cannot be read"));
    restore(*deployment, ended.members);
    show_members(*deployment, after, limit, reply);
  });
}

void Fleet::Core::show_members(const Deployment& deployment, const std::string& after, std::size_t limit,
                               const Fleet::Reply<std::vector<rollout::MemberView>>& reply) {
  struct Reading {
    std::vector<rollout::MemberView> views;
    std::vector<std::int64_t> keys;
    std::vector<state::AttemptRow> attempts;
    std::size_t read = 0;  // keys
  };
  auto page = std::make_shared<Reading>();
  const std::size_t most = std::min(limit, kMostItems);
  for (auto it = by_id_.upper_bound(after); it != by_id_.end() && page->views.size() < most; ++it) {
    const rollout::Member* const member = deployment.rollout.find(it->second);
    if (member == nullptr) continue;
    page->views.push_back({it->first, *member, std::nullopt});
    page->keys.push_back(it->second);
  }
  read_in_steps(
      [page, id = deployment.id](state::Reader& db, std::size_t rows) -> Result<bool> {
        const auto first = page->keys.begin() + static_cast<std::ptrdiff_t>(page->read);
        const std::size_t count = std::min(rows, page->keys.size() - page->read);
        if (count == 0) return false;
        auto some = state::last_attempts(db, id, {first, first + static_cast<std::ptrdiff_t>(count)});
        if (!some) return fail(std::move(some).error());
        page->attempts.insert(page->attempts.end(), some->begin(), some->end());
        page->read += count;
        return page->read < page->keys.size();
      },
      afterwards(reply, [this, page, reply] {
        std::unordered_map<std::int64_t, std::size_t> place;
        for (std::size_t i = 0; i < page->keys.size(); ++i) place.emplace(page->keys[i], i);
        for (const state::AttemptRow& row : page->attempts) {
          if (const auto found = place.find(row.device); found != place.end())
            page->views[found->second].attempt = view_of(row);
        }
        answer(reply, std::move(page->views));
      }));
}

// As it is now where it is open, else as its row has it.
rollout::AttemptView Fleet::Core::view_of(const state::AttemptRow& row) const {
  const auto open = attempts_.find(static_cast<AttemptId>(row.id));
  return open != attempts_.end() ? view(open->second) : fleet::view_of(row);
}

void Fleet::Core::attempts(const std::string& device, std::int64_t deployment, std::uint64_t before,
                           std::size_t limit, const Fleet::Reply<std::vector<rollout::AttemptView>>& reply) {
  state::AttemptQuery query;
  query.device = device;
  query.deployment = deployment;
  query.before = static_cast<std::int64_t>(before);
  auto all = std::make_shared<std::vector<state::AttemptRow>>();
  read_in_steps(
      [all, query, most = std::clamp<std::size_t>(limit, 1, kMostItems)](state::Reader& db,
                                                                         std::size_t rows) -> Result<bool> {
        state::AttemptQuery next = query;
        if (!all->empty()) next.before = all->back().id;
        next.limit = std::min(rows, most - all->size());
        auto page = state::page_attempts(db, next);
        if (!page) return fail(std::move(page).error());
        all->insert(all->end(), page->begin(), page->end());
        return page->size() == next.limit && all->size() < most;
      },
      afterwards(reply, [this, all, reply] {
        std::vector<rollout::AttemptView> views;
        views.reserve(all->size());
        for (const state::AttemptRow& row : *all) views.push_back(view_of(row));
        answer(reply, std::move(views));
      }));
}

}  // namespace otagate::gateway
