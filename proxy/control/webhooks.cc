#include "proxy/control/webhooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <span>
#include <utility>

#include "admin/alerts.h"
#include "admin/json_writer.h"
#include "proxy/control/event_log.h"
#include "proxy/control/server_settings.h"
#include "proxy/control/version.h"
#include "proxy/data/own_request.h"

namespace sluice::proxy {

using admin::DeliveryQueue;
using Format = conf::Webhook::Format;

namespace {

constexpr std::size_t kTokenBytesMax = 4096;
// Of what a receiver says about an event that it will not have.
constexpr std::size_t kAnswerBytesMax = 256;

admin::DeliverySettings delivery_settings(const conf::Webhook& hook) {
  return {
      .queue_max = hook.queue, .retry_max = hook.retry_max, .give_up_after = hook.give_up_after};
}

std::expected<std::string, std::string> read_token(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kTokenBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return std::unexpected(fmt::format("token_file {}: {}", path, std::strerror(errno)));
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  const bool sound = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
  if (text.empty() || text.size() > kTokenBytesMax || !sound) {
    return std::unexpected(
        fmt::format("token_file {}: a token is one line of 1 to {} bytes of printable ASCII "
                    "without blanks",
                    path, kTokenBytesMax));
  }
  return text;
}

std::expected<WebhookSettings, std::string> load_webhook(const conf::Webhook& hook) {
  WebhookSettings settings{.hook = hook};
  ServerSettings connection;
  connection.server_name = hook.server_name;
  if (hook.url.tls) {
    auto context = load_client_tls(hook.ca_file, /*verify=*/true, "http/1.1");
    if (!context) return std::unexpected(std::move(context.error()));
    connection.tls = std::move(*context);
  }
  settings.connection = std::make_shared<const ServerSettings>(std::move(connection));
  if (!hook.token_file.empty()) {
    auto token = read_token(hook.token_file);
    if (!token) return std::unexpected(std::move(token.error()));
    settings.token = std::move(*token);
  }
  return settings;
}

}  // namespace

std::expected<WebhookTable, std::vector<std::string>> load_webhooks(const conf::Config& config) {
  WebhookTable table;
  std::vector<std::string> errors;
  for (const conf::Webhook& hook : config.webhooks) {
    auto settings = load_webhook(hook);
    if (settings) {
      table.push_back(std::move(*settings));
    } else {
      errors.push_back(fmt::format("{}:{}: webhook {}: {}", config.file, hook.line, hook.name,
                                   settings.error()));
    }
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return table;
}

class Webhooks::Hook {
 public:
  Hook(Webhooks& owner, const WebhookSettings& settings)
      : owner_(owner),
        settings_(settings),
        events_(admin::EventTypes::of(settings.hook.events)),
        queue_(
            delivery_settings(settings.hook),
            std::hash<std::string>{}(settings.hook.name) ^
                static_cast<std::size_t>(owner.host_.loop().wall_now().time_since_epoch().count())),
        request_(owner.host_),
        timer_(io::Timer::calling<&Hook::on_timer>(this)) {
    connect();
  }

  const std::string& name() const { return settings_.hook.name; }

  void use(const WebhookSettings& settings) {
    const bool elsewhere = settings.hook.url.text != settings_.hook.url.text ||
                           !same_connections(*settings.connection, *settings_.connection);
    settings_ = settings;
    events_ = admin::EventTypes::of(settings.hook.events);
    queue_.use(delivery_settings(settings.hook));
    if (elsewhere) {
      // What is on its way goes there to its end: the request holds on to its stream.
      connect();
    }
    schedule();
  }

  void on_event(admin::Event event) {
    if (!events_.has(event.type)) return;
    if (settings_.hook.format == Format::alertmanager) {
      const bool first = book_.empty();
      const auto alert = book_.note(event);
      if (!alert) return;
      event.time = alert->since;
      if (first) repeat_at_ = now() + admin::kAlertRepeatTime;
    }
    queue_.push(std::move(event), now());
    schedule();
  }

  admin::WebhookView view() const {
    return {.name = settings_.hook.name,
            .url = settings_.hook.url.text.substr(0, settings_.hook.url.text.find('?')),
            .format = settings_.hook.format,
            .events = events_,
            .queue_length = queue_.size(),
            .queue_max = settings_.hook.queue,
            .firing = book_.firing().size(),
            .counts = queue_.counts(),
            .failures_in_a_row = queue_.failures(),
            .last_success_at = last_success_at_,
            .last_error = last_error_,
            .last_error_at = last_error_at_};
  }

 private:
  io::Loop& loop() const { return owner_.host_.loop(); }
  TimePoint now() const { return loop().now(); }
  bool repeats() const {
    return settings_.hook.format == Format::alertmanager && !book_.empty() && queue_.size() == 0;
  }

  void connect() {
    pool_ = make_pool(owner_.host_, settings_.hook.url.address, settings_.connection);
    pool_->keep_idle(false);
  }

  // Never sends at once: whoever publishes an event doesn't wait for that either.
  void schedule() {
    if (request_.running()) return;
    loop().timers().arm(timer_, repeats() ? std::min(queue_.due(), repeat_at_) : queue_.due());
  }

  void on_timer() {
    if (queue_.due() <= now()) {
      const admin::Event& event = queue_.begin();
      send(settings_.hook.format == Format::json
               ? event.json
               : alerts(std::vector<admin::TimedAlert>{{event.alert, event.time}}),
           /*repeat=*/false);
    } else if (repeats() && repeat_at_ <= now()) {
      repeat_at_ = now() + admin::kAlertRepeatTime;
      send(alerts(book_.firing()), /*repeat=*/true);
    } else {
      schedule();
    }
  }

  std::string alerts(const std::vector<admin::TimedAlert>& alerts) const {
    return admin::render_alerts(alerts, owner_.bus_.log().node(), loop().wall_now());
  }

  void send(std::string body, bool repeat) {
    OwnRequest::Call call{.body = std::move(body),
                          .timeout = settings_.hook.timeout,
                          .answer_bytes_max = kAnswerBytesMax};
    call.head.method = http::Method::post;
    call.head.method_text = "POST";
    call.head.authority = settings_.hook.url.authority;
    call.head.target = settings_.hook.url.target;
    call.head.keep_alive = false;
    call.head.fields.append("User-Agent", "sluice-webhook/" SLUICE_VERSION);
    call.head.fields.append("Content-Type", "application/json");
    if (!settings_.token.empty()) {
      call.head.fields.append("Authorization", "Bearer " + settings_.token);
    }
    for (const auto& [name, value] : settings_.hook.headers) call.head.fields.append(name, value);
    pool_in_use_ = pool_;
    request_.start(*pool_in_use_, std::move(call), [this, repeat](OwnRequest::Result result) {
      on_answer(std::move(result), repeat);
    });
  }

  void on_answer(OwnRequest::Result result, bool repeat) {
    auto outcome = DeliveryQueue::Outcome::failed;
    std::optional<Duration> wait;
    if (result) {
      outcome = admin::outcome_of(result->status);
      if (result->retry_after) wait = *result->retry_after;
    }
    if (outcome == DeliveryQueue::Outcome::delivered) {
      last_success_at_ = loop().wall_now();
    } else {
      note_error(
          result ? fmt::format("status {}: {}", result->status, admin::to_valid_utf8(result->body))
                 : result.error().reason,
          outcome);
    }
    if (!repeat) queue_.finish(outcome, now(), wait);
    schedule();
  }

  // The first of a row is worth a line; the metrics count them all.
  void note_error(std::string reason, DeliveryQueue::Outcome outcome) {
    while (reason.ends_with('\n') || reason.ends_with(' ')) reason.pop_back();
    if (outcome == DeliveryQueue::Outcome::refused || queue_.failures() == 0) {
      log_event(Level::warning, "webhook_failed",
                {{"webhook", settings_.hook.name},
                 {"reason", reason},
                 {"event", outcome == DeliveryQueue::Outcome::refused ? "is not repeated"
                                                                      : "is tried again"}});
    }
    last_error_ = std::move(reason);
    last_error_at_ = loop().wall_now();
  }

  Webhooks& owner_;
  WebhookSettings settings_;
  admin::EventTypes events_;
  DeliveryQueue queue_;
  admin::AlertBook book_;  // of Alertmanager's format only
  std::shared_ptr<BackendPool> pool_;
  std::shared_ptr<BackendPool> pool_in_use_;  // of the call on its way
  OwnRequest request_;
  io::Timer timer_;
  TimePoint repeat_at_{};
  std::optional<WallTime> last_success_at_;
  std::string last_error_;
  std::optional<WallTime> last_error_at_;
};

Webhooks::Webhooks(ConnectionHost& host, EventBus& bus) : host_(host), bus_(bus) {
  bus.add_listener(*this);
}

Webhooks::~Webhooks() = default;

void Webhooks::use(const WebhookTable& table) {
  if (stopped_) return;
  std::vector<std::unique_ptr<Hook>> before = std::move(hooks_);
  hooks_.clear();
  for (const WebhookSettings& settings : table) {
    const auto known = std::ranges::find_if(
        before, [&](const auto& hook) { return hook && hook->name() == settings.hook.name; });
    if (known == before.end()) {
      hooks_.push_back(std::make_unique<Hook>(*this, settings));
    } else {
      (*known)->use(settings);
      hooks_.push_back(std::move(*known));
    }
  }
}

void Webhooks::stop() {
  stopped_ = true;
  hooks_.clear();
}

std::vector<admin::WebhookView> Webhooks::views() const {
  std::vector<admin::WebhookView> views;
  for (const auto& hook : hooks_) views.push_back(hook->view());
  return views;
}

void Webhooks::on_event(const admin::Event& event) {
  for (const auto& hook : hooks_) hook->on_event(event);
}

}  // namespace sluice::proxy
