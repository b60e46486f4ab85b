// The inside of Fleet: its thread, and what that thread owns.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "gateway/fleet.hpp"
#include "gateway/fleet_model.hpp"

namespace otagate::gateway {

// A request changes what is in memory and notes what has to be written. At its end one write is queued, and
// its replies leave when that write is durable. Should a write fail, memory is ahead of the disk: requests
// are refused with `busy` until all of it has been read back.
class Fleet::Core : public std::enable_shared_from_this<Fleet::Core> {
 public:
  using Device = fleet::Device;
  using Deployment = fleet::Deployment;
  using Attempt = fleet::Attempt;
  using Release = fleet::Release;
  using ReleasePart = fleet::ReleasePart;
  using DeviceKey = rollout::DeviceKey;
  using AttemptId = rollout::AttemptId;
  using milliseconds = std::chrono::milliseconds;

  Core(state::Database& db, Catalog& catalog, Credentials& credentials, EventLog& events, FleetHost& host)
      : db_(db), catalog_(catalog), credentials_(credentials), events_(events), host_(host) {}
  ~Core() { stop(); }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Result<void> start(const config::Devices& config);
  void stop();
  FleetCounts counts() const;
  std::optional<FleetPart> open_part(AttemptId attempt, std::uint32_t part) const;
  bool is_offered(const Digest& digest, const Principal& principal) const;

  // Runs as one request on the fleet's thread. False: it has stopped.
  bool post(std::function<void()> work);
  // The same for what a store wishes. It is not answered, so it is kept until it can be taken; false: too
  // many wait already.
  bool post_wish(std::function<void()> work);
  // The same for what is answered: refused where it cannot be taken now.
  template <class T>
  void request(const Fleet::Reply<T>& reply, std::function<void()> work) {
    const bool taken = post([this, reply, work = std::move(work)] {
      if (stale_ || write_seq_ - committed_ > kMaxInFlight)
        reply(fail(Code::busy, "the state database does not keep up; ask again in a moment"));
      else
        work();
    });
    if (!taken) reply(fail(Code::cancelled, "the gateway is stopping"));
  }

  // ---- Everything from here on belongs to the fleet's thread.

  struct CheckIn {
    std::string instance;
    std::shared_ptr<const Principal> principal;
    plugin::CheckIn in;
    Fleet::Reply<plugin::Offer> reply;
    milliseconds deadline{0};  // of the long poll; 0: none
    DeviceKey device = 0;
  };
  using CheckInPtr = std::shared_ptr<CheckIn>;

  // fleet_check_in.cpp
  void check_in(const CheckInPtr& request);
  void progress(const std::string& instance, const std::shared_ptr<const Principal>& principal,
                const plugin::Progress& report, const Fleet::Reply<std::uint32_t>& reply);

  // fleet_assignments.cpp
  void set_assigner(const std::string& store, const config::StoreAssignments& settings);
  void remove_assigner(const std::string& store);
  void assigned(const std::string& store, const plugin::Assignment& said);
  void unassigned(const std::string& store, const std::string& external_id);
  void told_that_agreed(const std::string& store, const std::string& external_id);

  // fleet_operator.cpp
  void edit_devices(const std::vector<rollout::DeviceEdit>& edits, const Fleet::Reply<std::uint64_t>& reply);
  void remove_device(const std::string& id, const Fleet::Reply<void>& reply);
  void make_token(const std::string& id, const Fleet::Reply<std::string>& reply);
  void revoke_token(const std::string& id, const Fleet::Reply<void>& reply);
  void deploy(const rollout::Spec& spec, const Fleet::Reply<std::int64_t>& reply);
  void act(std::int64_t id, Action action, const std::string& why,
           const Fleet::Reply<rollout::DeploymentView>& reply);
  void act_on_ended(std::int64_t id, Action action, const std::string& why,
                    const Fleet::Reply<rollout::DeploymentView>& reply);

  // fleet_preview.cpp
  void preview(const rollout::Spec& spec, const Fleet::Reply<rollout::Preview>& reply);

  // fleet_views.cpp, fleet_lists.cpp
  void devices(const rollout::DeviceQuery& query, const Fleet::Reply<rollout::DevicePage>& reply);
  void device(const std::string& id, const Fleet::Reply<rollout::DeviceView>& reply);
  void deployments(const rollout::DeploymentQuery& query,
                   const Fleet::Reply<std::vector<rollout::DeploymentView>>& reply);
  void deployment(std::int64_t id, const Fleet::Reply<rollout::DeploymentView>& reply);
  void members(std::int64_t id, const std::string& after, std::size_t limit,
               const Fleet::Reply<std::vector<rollout::MemberView>>& reply);
  void attempts(const std::string& device, std::int64_t deployment, std::uint64_t before, std::size_t limit,
                const Fleet::Reply<std::vector<rollout::AttemptView>>& reply);

  void configure(const config::Devices& config) { config_ = config; }
  void catalog_changed();

 private:
  static constexpr std::uint64_t kMaxInFlight = 4096;
  using Step = std::function<Result<void>(state::Writer&)>;
  // What a deployment has a device run: the parts that no greater one claims.
  struct Claim {
    Deployment* deployment = nullptr;
    std::vector<std::size_t> parts;
  };

  // ---- fleet_core.cpp: the thread, what is written, what is read back
  void loop();
  void tick();
  milliseconds next_tick() const;
  void run(const std::function<void()>& work);
  void commit();
  void committed(std::uint64_t sequence);
  void write_failed(const Error& error);
  void read_back();
  Result<void> load();
  Result<void> load_devices();
  Result<void> load_deployments();
  Result<void> load_attempts();
  Result<void> load_members(Deployment& deployment);
  std::unique_ptr<Deployment> deployment_of(const state::DeploymentRow& row) const;
  std::unique_ptr<fleet::Assigned> assigned_of(const state::AssignmentRow& row,
                                               const std::string& store) const;
  void housekeeping();
  static milliseconds now();
  static rollout::Moment moment();
  void step(Step work) { steps_.push_back(std::move(work)); }
  // The reply goes once this request's writes, and earlier ones of the devices it touched, are durable.
  void answer(std::function<void(const Result<void>&)> reply) { replies_.push_back(std::move(reply)); }
  template <class T>
  void answer(const Fleet::Reply<T>& reply, T value) {
    answer([reply, value = std::move(value)](const Result<void>& durable) mutable {
      if (durable)
        reply(std::move(value));
      else
        reply(fail(durable.error()));
    });
  }
  template <class T>
  void refuse(const Fleet::Reply<T>& reply, Error error) {
    answer([reply, error = std::move(error)](const Result<void>&) { reply(fail(error)); });
  }
  void depends_on(const Device& device) { after_ = std::max(after_, device.dirty); }
  void event(std::string_view kind, state::Severity severity, const Device* device, std::string message,
             std::string data = {});

  // ---- fleet_devices.cpp
  Device* find_device(std::string_view id);
  Device& at(DeviceKey key) { return devices_.at(key); }
  // The one device at that address of the transport that has no credential of its own.
  Device* device_at(const std::string& transport, std::string_view address);
  Device& add_device(Device device);
  void forget_device(const Device& device);
  void place(Device& device, std::string transport, std::string address);
  void unplace(const std::string& place, DeviceKey key);
  void save(Device& device);
  void publish_tokens();
  Result<Device*> admit(const CheckIn& request);
  Result<void> may_speak_for(const CheckIn& request, std::string_view id);
  Result<Device*> register_device(const CheckIn& request);
  void take_news(Device& device, const CheckIn& request);
  // Deployments claim anew what the device runs; it joins and leaves accordingly.
  static Result<void> check_edit(const rollout::DeviceEdit& edit);
  void settle(Device& device);
  void settle_type(const std::string& type);
  std::vector<Claim> claims(const Device& device) const;
  static bool runs(const Device& device, const ReleasePart& part);
  static bool runs_all(const Device& device, const Release& release, const std::vector<std::size_t>& parts);
  // Why it is not offered to this device, now or ever; nothing: it is.
  static std::optional<std::string> objection(const Device& device, const Deployment& deployment,
                                              const Release& release, const std::vector<std::size_t>& parts);

  // ---- fleet_releases.cpp
  using Parts = std::vector<ReleasePart>;
  void resolve(const rollout::Spec& spec, const std::string& type, const std::function<void(Parts)>& done);
  std::shared_ptr<Release> release_of(Deployment& deployment, const std::string& type);
  void ask(Deployment& deployment, const std::string& type);
  void got(std::int64_t id, const std::string& type, Parts parts);
  void fill(Deployment& deployment, const std::string& type, std::size_t part);
  void filled(std::int64_t id, const std::string& type, std::size_t part, const std::string& asked,
              const Result<Digest>& outcome);
  void try_again(Release& release);
  void retry_releases(milliseconds at_ms);
  void renew(Deployment& deployment);
  void ask_again();
  void keep(Deployment& deployment);

  // ---- fleet_attempts.cpp
  Attempt& begin(Deployment& deployment, Device& device, const Release& release,
                 const std::vector<std::size_t>& parts);
  void save(Attempt& attempt);
  void schedule(Attempt& attempt);
  void end(Attempt& attempt);
  void cancel(AttemptId id, rollout::AttemptState why, std::string message);
  void timers(milliseconds at);
  plugin::Offer offer_of(Attempt& attempt) const;
  bool moved(Attempt& attempt);
  Deployment* find_deployment(std::int64_t id);
  void save(Deployment& deployment);
  void save_member(const Deployment& deployment, DeviceKey device);
  void leave(Deployment& deployment, Device& device, rollout::AttemptState why);
  void apply(Deployment& deployment, const rollout::Changes& changes, rollout::AttemptState why);
  void wake(Deployment& deployment);

  // ---- fleet_check_in.cpp
  void serve(const CheckInPtr& request);
  bool serve_open(const CheckInPtr& request, Device& device);
  void hold(const CheckInPtr& request, milliseconds again);
  void release_held(milliseconds at);
  void progress_of_ended(const plugin::Progress& report, const Fleet::Reply<std::uint32_t>& reply);

  // ---- fleet_assignments.cpp
  void announce(const Device& device);
  void say(const Deployment& deployment, const std::optional<rollout::Feedback>& feedback);
  void say(const std::string& store, const std::string& external_id, const std::string& device,
           const rollout::Feedback& feedback);
  void save_assignment(const Deployment& deployment);
  void make_assigned(const std::string& store, const plugin::Assignment& said, Device& device);
  void change_assigned(Deployment& deployment, const plugin::Assignment& said);
  // True: what has ended stands; false: it may begin anew.
  bool ended_stands(const state::DeploymentRow& row, const plugin::Assignment& said);
  void outdo(const Device& device, const Deployment& by);
  void settle_assigned(Device& device, Deployment& deployment, const Claim* claim);
  void give_up(Deployment& deployment, const std::string& why);
  void conclude(Deployment& deployment);
  void follow(const Attempt& attempt, rollout::AttemptState before);
  // Nothing: it may begin. Else worth asking again after; 0: when something changes.
  static std::optional<milliseconds> held_back(const Deployment& deployment, const rollout::Moment& at);
  bool local_wins(const std::string& store) const;
  // The store that decides about this component of the device although nothing of it is open.
  const std::string* holder(const Device& device, const std::string& component) const;
  Deployment& enter(std::unique_ptr<Deployment> deployment);
  void drop_over();
  template <class F>
  void each_assigned(DeviceKey device, F f) const {
    const auto found = assigned_to_.find(device);
    if (found == assigned_to_.end()) return;
    // By copy: what is done to one may change the list.
    for (const std::int64_t id : std::vector<std::int64_t>(found->second)) f(*deployments_.at(id));
  }

  // ---- fleet_preview.cpp
  void describe(const rollout::Spec& spec, const std::map<std::string, Release>& releases,
                rollout::Preview& preview) const;
  const Deployment* greater_claim(const Device& device, const std::string& component,
                                  rollout::Rank rank) const;

  // ---- fleet_views.cpp
  rollout::DeviceView view(const Device& device) const;
  rollout::AttemptView view(const Attempt& attempt) const;
  static std::vector<std::string> hold_ups(const Deployment& deployment, const rollout::Moment& at);
  rollout::DeploymentView view(const Deployment& deployment) const;
  static rollout::DeploymentView view(const state::DeploymentRow& row);

  // ---- fleet_lists.cpp
  // A part of what is to be read, of that many rows at most, on the reader thread. True: there is more. One
  // that fails has changed nothing.
  using ReadStep = std::function<Result<bool>(state::Reader&, std::size_t rows)>;
  // `done` on the reader thread.
  void read_in_steps(const ReadStep& step, const std::function<void(const Result<void>&)>& done);
  void read_on(const ReadStep& step, const std::function<void(const Result<void>&)>& done, std::size_t rows,
               int tries);
  template <class T>
  std::function<void(const Result<void>&)> afterwards(const Fleet::Reply<T>& reply,
                                                      std::function<void()> work);
  struct EndedDeployment {
    state::DeploymentRow row;
    std::vector<state::MemberRow> members;
  };
  using EndedDeployments = std::shared_ptr<std::vector<EndedDeployment>>;
  static ReadStep step_of_members(EndedDeployments of);
  template <class T>
  void with_ended(std::int64_t id, const Fleet::Reply<T>& reply,
                  std::function<void(const EndedDeployment&)> then);
  void restore(Deployment& deployment, const std::vector<state::MemberRow>& rows) const;
  void look_through(rollout::DeviceQuery query, const Fleet::Reply<rollout::DevicePage>& reply,
                    const std::shared_ptr<rollout::DevicePage>& page);
  void show(const std::vector<state::DeploymentRow>& rows,
            const Fleet::Reply<std::vector<rollout::DeploymentView>>& reply);
  void show_members(const Deployment& deployment, const std::string& after, std::size_t limit,
                    const Fleet::Reply<std::vector<rollout::MemberView>>& reply);
  rollout::DeploymentView view_of(const EndedDeployment& ended) const;
  rollout::AttemptView view_of(const state::AttemptRow& row) const;

  state::Database& db_;
  Catalog& catalog_;
  Credentials& credentials_;
  EventLog& events_;
  FleetHost& host_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> mailbox_;  // under mutex_
  bool stopping_ = false;                      // under mutex_
  std::thread thread_;

  mutable std::mutex shared_mutex_;
  FleetCounts counts_;  // under shared_mutex_
  struct SharedParts {
    std::string device;
    std::vector<fleet::OfferedPart> parts;
  };
  std::unordered_map<AttemptId, SharedParts> shared_parts_;  // of open attempts, under shared_mutex_

  config::Devices config_;
  std::unordered_map<DeviceKey, Device> devices_;
  std::map<std::string, DeviceKey, std::less<>> by_id_;
  std::unordered_multimap<std::string, DeviceKey> by_place_;  // by transport and address without its port
  std::map<std::int64_t, std::unique_ptr<Deployment>> deployments_;  // that have not ended, or have attempts
  std::map<std::int64_t, Deployment*> general_;                      // of these, what no store asked for
  std::unordered_map<DeviceKey, std::vector<std::int64_t>> assigned_to_;  // and what stores did
  std::map<std::pair<std::string, std::string>, std::int64_t> external_;  // by store and id there
  std::map<std::string, config::StoreAssignments, std::less<>> assigners_;
  std::unordered_map<AttemptId, Attempt> attempts_;  // open ones
  std::set<std::pair<milliseconds, AttemptId>> due_;
  std::unordered_map<DeviceKey, CheckInPtr> held_;  // long polls, one for each device
  std::set<std::pair<milliseconds, DeviceKey>> held_until_;
  std::map<std::string, std::uint32_t, std::less<>> registered_from_;  // by address
  DeviceKey next_device_ = 1;
  state::NextIds next_;
  std::int64_t next_outbox_ = 1;
  std::atomic<std::size_t> wishes_{0};               // of stores, that wait
  std::vector<std::function<void()>> later_wishes_;  // until what is stale has been read back
  milliseconds full_said_{0};
  milliseconds housekeeping_at_{0};
  std::uint64_t catalog_count_ = 0;
  milliseconds retry_at_{0};    // when to try the first release again; 0: none failed
  milliseconds catalog_at_{0};  // when to ask the catalog again; 0: nothing changed

  // Of the request at hand.
  std::vector<Step> steps_;
  std::vector<std::function<void()>> written_;
  std::vector<std::function<void(const Result<void>&)>> replies_;
  std::vector<DeviceKey> touched_;
  std::uint64_t after_ = 0;
  bool settle_all_ = false;
  std::vector<DeviceKey> settle_also_;
  bool over_ = false;  // a deployment may have to go

  std::uint64_t write_seq_ = 0;
  std::uint64_t committed_ = 0;
  std::multimap<std::uint64_t, std::function<void(const Result<void>&)>> waiting_replies_;
  bool stale_ = false;
};

}  // namespace otagate::gateway
