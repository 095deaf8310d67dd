// CommandRunner: carries the admin API's commands out: plans, hands to the change queue, waits for
// what the caller wanted to wait for, and answers when it is in force. Control's thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "admin/api.h"
#include "admin/view.h"
#include "proxy/control/change_queue.h"
#include "proxy/control/health_monitor.h"
#include "proxy/data/local_service.h"

namespace sluice::proxy {

// The verdict on a reload: why it was refused, or what it cost.
struct ReloadVerdict {
  std::vector<std::string> errors;
  std::vector<std::string> conflicts;
};

class CommandRunner {
 public:
  // How often a wait looks again.
  static constexpr Duration kWaitPollTime = std::chrono::milliseconds(10);
  // Calls that wait at a time; more are answered 503.
  static constexpr std::size_t kWaitingMax = 1024;

  // Somebody who asks for a reload, and waits for its verdict.
  struct ReloadCall {
    routing::Origin origin;
    std::move_only_function<void(const ReloadVerdict&)> then;
  };
  // What it needs of its owner, and what of control. All outlive it.
  struct Parts {
    ChangeQueue& changes;
    Publisher& publisher;
    HealthMonitor& health;
    io::Loop& loop;
    const std::shared_ptr<const conf::Config>& config;
    const routing::Book& book;
    std::function<admin::View()> view;
    std::function<void(const admin::Request&, const admin::Reply&, const Answer&,
                       const routing::Revision*)>
        reply;
    std::function<void(ReloadCall)> reload;
  };

  explicit CommandRunner(Parts parts);
  ~CommandRunner();

  void run(std::shared_ptr<const admin::Request> request, admin::Command command, Answer answer);
  // Answers what still waits (with what is so now).
  void stop();

 private:
  class Waiting;
  // One call on its way.
  struct Call {
    std::shared_ptr<const admin::Request> request;
    std::shared_ptr<const admin::Command> command;
    Answer answer;
  };
  // What a call has made; without a revision: nothing.
  struct Made {
    std::optional<routing::Revision> revision = {};
    bool before = false;  // by an earlier call of the same Idempotency-Key
    // Null where there is nothing new.
    const routing::Revision* now() const {
      return revision && !before && !only_remembers(*revision) ? &*revision : nullptr;
    }
  };

  void submit(Call call);
  void try_out(const Call& call);
  void reload(Call call);
  // Replayed: the number of what an earlier call of the same key made.
  void on_outcome(const Call& call, routing::RevisionNumber replayed,
                  const ChangeQueue::Outcome& outcome);
  void reply(const Call& call, const admin::Reply& reply, const routing::Revision* revision);
  void wait(Call call, Made made, Duration time);
  void await_passes(const routing::Revision& revision);
  routing::Facts facts() const;
  bool takes_requests(const routing::ServerKey& server) const;
  bool is_undone(const admin::Drain& drain) const;
  bool is_safe_to_stop(const routing::ServerKey& server) const;

  Parts parts_;
  std::map<Waiting*, std::unique_ptr<Waiting>> waiting_;
};

}  // namespace sluice::proxy
