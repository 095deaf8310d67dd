// Node: a configuration, a state and a view as control would keep them, for tests of admin/.
// Two routes, two backends of two servers; every worker runs what the state says.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/api.h"
#include "admin/event_log.h"
#include "admin/render.h"
#include "admin/view.h"
#include "routing/history.h"
#include "routing/snapshot.h"

namespace sluice::admin::testing {

class Node {
 public:
  Node();

  conf::Config config;
  routing::State state;
  routing::History history;
  WallTime now{std::chrono::seconds(1'795'000'000)};
  ProcessInfo process;
  AccessFacts access;
  std::vector<ServerView> servers;
  std::map<std::string, ObservedRoute, std::less<>> observed;
  std::vector<WebhookView> webhooks;
  EventLog events{now, "node-1"};
  // What requests say that /explain is asked about; null: nothing.
  std::function<DescribedWish(const DescribedRequest&)> read_wish;
  // nullopt: every worker runs the state as it is.
  std::optional<std::vector<Adoption>> adoptions;

  // After a change of `config`.
  void take_config_over();
  View view() const;
  // What the workers run, with tickets that go on from call to call.
  const routing::Snapshot& snapshot() const;
  routing::Facts facts() const { return {.config = config, .history = history}; }
  ServerView& server(std::string_view backend, std::string_view name);

  // As control does it, with workers that adopt at once: handle, plan, apply, render.
  Reply call(Request request);
  // The same by root over the Unix socket; `body` is a form.
  Reply call(std::string_view method, std::string_view target, std::string_view body = "");
  Reply call_json(std::string_view method, std::string_view target, std::string_view body);
  // "blue=90 green=10".
  std::string weights(std::string_view route) const;

 private:
  mutable routing::Registry registry_{4};
  mutable std::shared_ptr<const routing::Snapshot> snapshot_;
};

// By root over the Unix socket, who has been identified.
Request make_request(std::string_view method, std::string_view target, std::string_view body = "",
                     std::optional<std::string> content_type = "application/x-www-form-urlencoded");
}  // namespace sluice::admin::testing
