// Webhooks: those who are called when something happens ([webhooks.NAME]). Each has a queue of its
// own (admin/delivery.h) and one call at a time, over the connections that exchanges and probes
// use: one that hangs holds up nobody else, and no caller of the admin API waits for any.
// Control's thread only.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "admin/metrics.h"
#include "admin/view.h"
#include "conf/config.h"
#include "proxy/control/event_bus.h"
#include "proxy/data/connection_host.h"
#include "proxy/data/server_settings.h"

namespace sluice::proxy {

// A webhook with its files read.
struct WebhookSettings {
  conf::Webhook hook;
  std::shared_ptr<const ServerSettings> connection;
  std::string token;  // empty: none
};
using WebhookTable = std::vector<WebhookSettings>;

// For the start, `sluice check` and a reload; any thread. The errors are sentences, all of them.
std::expected<WebhookTable, std::vector<std::string>> load_webhooks(const conf::Config& config);

class Webhooks final : private EventBus::Listener {
 public:
  // Both outlive it.
  Webhooks(ConnectionHost& host, EventBus& bus);
  ~Webhooks();

  // At start and after a reload: a webhook whose name stays keeps what it has still to tell.
  void use(const WebhookTable& table);
  // Gives up the calls that are on their way, and what waits.
  void stop();

  std::vector<admin::WebhookView> views() const;

 private:
  class Hook;

  void on_event(const admin::Event& event) override;

  ConnectionHost& host_;
  EventBus& bus_;
  std::vector<std::unique_ptr<Hook>> hooks_;
  bool stopped_ = false;
};

}  // namespace sluice::proxy
