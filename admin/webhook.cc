#include "admin/webhook.h"

#include "admin/json_writer.h"
#include "admin/parts.h"
#include "admin/table.h"
#include "proxy/base/rfc3339.h"

namespace sluice::admin {
namespace {

std::string_view format_word(conf::Webhook::Format format) {
  return format == conf::Webhook::Format::json ? "json" : "alertmanager";
}

void write_webhook(JsonWriter& json, const WebhookView& hook) {
  json.begin_object();
  json.key("name").value(hook.name);
  json.key("url").value(hook.url);
  json.key("format").value(format_word(hook.format));
  json.key("events").begin_array(JsonWriter::Layout::one_line);
  for (const EventType type : kEventTypes) {
    if (hook.events.has(type)) json.value(to_string(type));
  }
  json.end_array();
  json.key("queue_length").value(hook.queue_length);
  json.key("queue_max").value(hook.queue_max);
  if (hook.format == conf::Webhook::Format::alertmanager) json.key("firing").value(hook.firing);
  json.key("delivered").value(hook.counts.delivered);
  json.key("failed").value(hook.counts.failed);
  json.key("refused").value(hook.counts.refused);
  json.key("given_up").value(hook.counts.given_up);
  json.key("dropped").value(hook.counts.dropped);
  json.key("failures_in_a_row").value(hook.failures_in_a_row);
  if (hook.last_success_at) json.key("last_success_at").value(to_rfc3339(*hook.last_success_at));
  if (hook.last_error_at) {
    json.key("last_error").value(hook.last_error);
    json.key("last_error_at").value(to_rfc3339(*hook.last_error_at));
  }
  json.end_object();
}

}  // namespace

Reply render_webhooks(const View& view, Format format) {
  if (format == Format::text) {
    Table table({"WEBHOOK", "URL", "FORMAT", "QUEUE", "DELIVERED", "FAILED", "REFUSED", "GIVEN UP",
                 "DROPPED", "LAST SUCCESS", "LAST ERROR"});
    for (const WebhookView& hook : view.webhooks) {
      table.add({hook.name, hook.url, std::string(format_word(hook.format)),
                 std::to_string(hook.queue_length), std::to_string(hook.counts.delivered),
                 std::to_string(hook.counts.failed), std::to_string(hook.counts.refused),
                 std::to_string(hook.counts.given_up), std::to_string(hook.counts.dropped),
                 hook.last_success_at ? to_rfc3339(*hook.last_success_at) : "", hook.last_error});
    }
    return text_reply(table.finish());
  }
  JsonWriter json;
  json.begin_object();
  json.key("webhooks").begin_array();
  for (const WebhookView& hook : view.webhooks) write_webhook(json, hook);
  json.end_array();
  json.end_object();
  return json_reply(json);
}

}  // namespace sluice::admin
