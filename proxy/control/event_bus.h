// EventBus: where control's parts tell what happens, and where those who watch hear of it. Keeps
// the event log, and which alarms are raised. Control's thread only; outlives whoever publishes
// and whoever listens.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "admin/event.h"
#include "admin/event_log.h"
#include "proxy/io/loop.h"

namespace sluice::proxy {

class EventBus {
 public:
  // Hears of each event once it is in the log. Must not publish from inside.
  class Listener {
   public:
    virtual void on_event(const admin::Event& event) = 0;

   protected:
    ~Listener() = default;
  };

  // `process_start`: see EventLog.
  EventBus(io::Loop& loop, WallTime process_start);

  void publish(const admin::Happening& happening);
  // Something is wrong, and `reason` says what; empty: it is not, or not any more. Published when
  // that is news.
  void set_alarm(std::string_view name, std::string_view reason);

  void add_listener(Listener& listener) { listeners_.push_back(&listener); }

  const admin::EventLog& log() const { return log_; }
  const std::map<std::string, std::string, std::less<>>& alarms() const { return alarms_; }

 private:
  io::Loop& loop_;
  admin::EventLog log_;
  std::map<std::string, std::string, std::less<>> alarms_;  // those that are raised, and why
  std::vector<Listener*> listeners_;
};

}  // namespace sluice::proxy
