// ChangeQueue: how routing changes, one transaction after the other: plan, write the ledger and
// fsync, fold into the state, publish, wait for every worker, answer (guarantees G1, G4, G7).
// A change is planned on the state that the one before it left. Control's thread only.
#pragma once

#include <deque>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/control/background.h"
#include "proxy/control/ledger_store.h"
#include "proxy/control/publisher.h"
#include "routing/history.h"

namespace sluice::proxy {

struct LedgerStats {
  std::uint64_t bytes = 0;
  std::uint64_t writes = 0;
  std::uint64_t failures = 0;
  Duration write_time{};
  std::size_t good_copies = 0;
  std::string alarm;  // what is wrong with a copy; empty: nothing
};

class ChangeQueue {
 public:
  // Changes that wait for the one before them.
  static constexpr std::size_t kWaitingMax = 1024;

  struct Outcome {
    std::optional<routing::PlanError> refused;  // nothing has changed
    std::string ledger_error;                   // not empty: nothing has changed
    std::optional<routing::Revision> revision;  // nullopt: it was so already
    std::vector<std::size_t> behind;            // workers that have not adopted it in time
  };
  // nullopt: nothing to change.
  using Plan =
      std::move_only_function<std::expected<std::optional<routing::Revision>, routing::PlanError>(
          const routing::State&)>;
  using Then = std::move_only_function<void(const Outcome&)>;
  // Makes and publishes a snapshot of the state as it is now.
  using Publish = std::function<void()>;
  // Hears of each change's outcome, before whoever asked for it does.
  using Observer = std::function<void(const Outcome&)>;

  // `background`: the ledger's own thread.
  ChangeQueue(routing::Book& book, LedgerStore& ledger, Background& background,
              Publisher& publisher, Publish publish);

  // How many revisions the ledger keeps: when there are twice as many, a checkpoint takes the place
  // of the older ones.
  void keep(std::size_t revisions) { kept_ = revisions; }

  // Runs once the revision is durable, right before it is published; null: there is none, nothing
  // has changed. True asks for publishing in any case.
  using BeforePublish = std::move_only_function<bool(const routing::Revision* revision)>;
  // Told of every revision once it is in the state.
  using OnChanged = std::function<void(const routing::Revision&)>;
  void when_changed(OnChanged then) { on_changed_ = std::move(then); }

  void observe(Observer observer) { observer_ = std::move(observer); }
  void submit(Plan plan, Then then, Duration adopt_timeout, BeforePublish before_publish = {});
  const LedgerStats& stats() const { return stats_; }
  bool idle() const { return !busy_ && waiting_.empty(); }

 private:
  struct Change {
    Plan plan;
    Then then;
    Duration adopt_timeout{};
    BeforePublish before_publish;
  };
  void next();
  void write(Change change, routing::Revision revision);
  void compact();
  void take_health();
  void publish(Change change, std::optional<routing::Revision> revision);

  routing::Book& book_;
  LedgerStore& ledger_;
  Background& background_;
  Publisher& publisher_;
  Publish publish_;
  std::deque<Change> waiting_;
  OnChanged on_changed_;
  LedgerStats stats_;
  std::size_t kept_ = routing::History::kKeptDefault;
  Observer observer_;
  bool busy_ = false;
};

}  // namespace sluice::proxy
