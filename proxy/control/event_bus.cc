#include "proxy/control/event_bus.h"

#include <unistd.h>

#include <array>

namespace sluice::proxy {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace

EventBus::EventBus(io::Loop& loop, WallTime process_start)
    : loop_(loop), log_(process_start, host_name()) {
}

void EventBus::publish(const admin::Happening& happening) {
  const admin::Event& event = log_.add(happening, loop_.wall_now());
  for (Listener* listener : listeners_) listener->on_event(event);
}

void EventBus::set_alarm(std::string_view name, std::string_view reason) {
  const auto raised = alarms_.find(name);
  if (reason.empty()) {
    if (raised == alarms_.end()) return;
    alarms_.erase(raised);
  } else if (raised == alarms_.end()) {
    alarms_.emplace(name, reason);
  } else if (raised->second != reason) {
    raised->second = reason;
  } else {
    return;
  }
  publish(admin::alarm(name, reason));
}

}  // namespace sluice::proxy
