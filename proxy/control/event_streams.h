// EventStreams: the clients of GET /events. Each reads the event log at its own pace (admin/
// event_reader.h): a slow one delays nobody and holds nothing but its place. Control's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <set>

#include "admin/api.h"
#include "admin/event_reader.h"
#include "proxy/control/event_bus.h"
#include "proxy/data/local_service.h"

namespace sluice::proxy {

class EventStreams final : private EventBus::Listener {
 public:
  static constexpr std::size_t kStreamsMax = 64;
  // A stream without events shows that often that it lives.
  static constexpr Duration kHeartbeatTime = std::chrono::seconds(15);

  struct Counts {
    std::uint64_t refused = 0;  // kStreamsMax were there
    std::uint64_t cut = 0;      // took nothing for LocalService::kStuckTime
    std::uint64_t missed = 0;   // events that were forgotten before a reader took them
  };

  // Both outlive it.
  EventStreams(io::Loop& loop, EventBus& bus);
  ~EventStreams();

  bool has_room() const { return streams_.size() < kStreamsMax; }
  void count_refusal() { ++counts_.refused; }
  // Precondition: has_room(), or it is not to follow.
  void open(const admin::Follow& follow, const Answer& answer);
  // Ends them all, cleanly, and lets nobody in any more.
  void stop();

  std::size_t size() const { return streams_.size(); }
  const Counts& counts() const { return counts_; }

 private:
  class Stream;

  void on_event(const admin::Event& event) override;
  void beat();

  io::Loop& loop_;
  const admin::EventLog& log_;
  std::set<Stream*> streams_;  // each owned by its call
  Counts counts_;
  io::Timer heartbeat_;
};

}  // namespace sluice::proxy
