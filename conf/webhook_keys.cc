#include "conf/webhook_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/kinds.h"
#include "conf/words.h"

namespace sluice::conf {
namespace {

constexpr std::uint64_t kQueueMax = 10'000;

struct Scheme {
  std::string_view prefix;
  bool tls;
  std::string_view port;
};
constexpr std::array<Scheme, 2> kSchemes{{{"http://", false, "80"}, {"https://", true, "443"}}};

// Printable ASCII without blanks.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// The URL's parts, or what is wrong with it.
std::expected<WebhookUrl, std::string> parse_url(std::string_view text) {
  const auto scheme = std::ranges::find_if(
      kSchemes, [&](const Scheme& each) { return text.starts_with(each.prefix); });
  if (scheme == kSchemes.end()) return std::unexpected("it begins with http:// or https://");
  if (text.size() > kTextBytesMax || !is_plain(text)) {
    return std::unexpected(
        fmt::format("a URL is at most {} bytes of ASCII without blanks", kTextBytesMax));
  }
  const std::string_view rest = text.substr(scheme->prefix.size());
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  std::string target(rest.substr(end));
  if (authority.contains('@')) return std::unexpected("put a secret into token_file or headers");
  if (target.contains('#')) return std::unexpected("a fragment (#) is never sent");
  if (!target.starts_with('/')) target.insert(0, "/");
  const bool has_port = authority.rfind(':') != std::string_view::npos && !authority.ends_with(']');
  const auto address = Address::parse(has_port ? std::string(authority)
                                               : fmt::format("{}:{}", authority, scheme->port));
  if (!address || authority.starts_with('*') || authority.starts_with("unix:")) {
    return std::unexpected(
        "names are not resolved yet, write the IP address ([::1] for IPv6) or localhost, with a "
        "port or without");
  }
  if (address->port == 0) return std::unexpected("a port is from 1 to 65535");
  return WebhookUrl{.text = std::string(text),
                    .tls = scheme->tls,
                    .address = *address,
                    .authority = std::string(authority),
                    .target = std::move(target)};
}

Kind<WebhookUrl> webhook_url() {
  Kind<WebhookUrl> kind;
  kind.type = "URL";
  kind.schema =
      Json{{"type", "string"}, {"pattern", "^https?://[^ #]+$"}, {"maxLength", kTextBytesMax}};
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<WebhookUrl> {
    if (value.type != Value::Type::string) {
      reader.wrong_type(value, path, "a URL like \"http://127.0.0.1:9093/api/v2/alerts\"");
      return {};
    }
    auto url = parse_url(value.text);
    if (url) return std::move(*url);
    reader.error(value.at, fmt::format("{}: {} can't be called: {}", path, in_quotes(value.text),
                                       url.error()));
    return {};
  };
  return kind;
}

bool is_field_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

bool is_field_value(std::string_view text) {
  return !text.empty() && text.size() <= kTextBytesMax && text.front() != ' ' &&
         text.back() != ' ' &&
         std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

// Those that a call has anyway.
constexpr std::array<std::string_view, 9> kOwnFields = {
    "host",    "content-type", "content-length", "transfer-encoding", "connection", "te",
    "upgrade", "user-agent",   "trailer"};

bool check_header(Reader& reader, const Entry& entry, const std::string& path) {
  if (!is_field_name(entry.key)) {
    reader.error(entry.at,
                 fmt::format("{}: {} is no name of a header", path, in_quotes(entry.key)));
  } else if (std::ranges::find(kOwnFields, lowered(entry.key)) != kOwnFields.end()) {
    reader.error(entry.at, fmt::format("{}: {} is set by Sluice itself", path, entry.key));
  } else if (entry.value.type != Value::Type::string) {
    reader.wrong_type(entry.value, join_path(path, entry.key), "text, in quotes");
  } else if (!is_field_value(entry.value.text)) {
    reader.error(
        entry.value.at,
        fmt::format("{}: {} is no value of a header: write 1 to {} bytes of printable "
                    "ASCII, without blanks at the ends",
                    join_path(path, entry.key), in_quotes(entry.value.text), kTextBytesMax));
  } else {
    return true;
  }
  return false;
}

using Headers = std::vector<std::pair<std::string, std::string>>;

Kind<Headers> headers() {
  Kind<Headers> kind;
  kind.type = "table name = value";
  kind.schema = Json{{"type", "object"},
                     {"maxProperties", kWebhookHeadersMax},
                     {"additionalProperties", {{"type", "string"}, {"maxLength", kTextBytesMax}}}};
  kind.read = [](Reader& reader, const Value& value,
                 const std::string& path) -> std::optional<Headers> {
    if (value.type != Value::Type::table) {
      reader.wrong_type(value, path, "a table like { X-Source = \"sluice\" }");
      return {};
    }
    if (value.entries.size() > kWebhookHeadersMax) {
      reader.error(value.at, fmt::format("{} has {} headers; at most {} are possible", path,
                                         value.entries.size(), kWebhookHeadersMax));
      return {};
    }
    Headers read;
    for (const Entry& entry : value.entries) {
      if (check_header(reader, entry, path)) read.emplace_back(entry.key, entry.value.text);
    }
    return read;
  };
  return kind;
}

Kind<EventType> event_type() {
  return word_for<EventType>({{"shift", EventType::shift},
                              {"health", EventType::health},
                              {"reload", EventType::reload},
                              {"drain", EventType::drain},
                              {"lease", EventType::lease},
                              {"alarm", EventType::alarm}});
}

}  // namespace

Section<Webhook> webhook_section() {
  using Format = Webhook::Format;
  return Section(Webhook{})
      .required(
          "url", webhook_url(), [](Webhook& hook, WebhookUrl url) { hook.url = std::move(url); },
          "Where calls go; its host is an IP address or localhost")
      .value("format",
             word_for<Format>({{"json", Format::json}, {"alertmanager", Format::alertmanager}}),
             &Webhook::format,
             "What is posted: an event as GET /events has it, or alerts for Alertmanager's API v2")
      .value("events", list_of("list of event types", event_type()), &Webhook::events,
             "Which events are told")
      .value("timeout", duration(), &Webhook::timeout,
             "One call, from connecting to the answer; a call that takes longer is repeated")
      .value("retry_max", duration(), &Webhook::retry_max,
             "The longest pause between two attempts; it doubles from 1 s on")
      .value("give_up_after", duration(), &Webhook::give_up_after,
             "How long an event is tried before it is dropped")
      .value("queue", count(1, kQueueMax), &Webhook::queue,
             "Events that wait for those before them; of more the oldest are dropped")
      .optional(
          "ca_file", file_path(),
          [](Webhook& hook, std::string path) { hook.ca_file = std::move(path); },
          "Certificates, PEM, of those who may have signed the receiver's own; required with https")
      .optional(
          "server_name", certificate_name(),
          [](Webhook& hook, std::string name) { hook.server_name = std::move(name); },
          "The name that the receiver's certificate must be for; without it the address")
      .optional(
          "token_file", file_path(),
          [](Webhook& hook, std::string path) { hook.token_file = std::move(path); },
          "A file with a token that is sent as Authorization: Bearer; read at start and reload")
      .optional(
          "headers", headers(),
          [](Webhook& hook, Headers headers) { hook.headers = std::move(headers); },
          "Further headers of each call");
}

void check_webhooks(Reader& reader, const Entry& document, const Config& config) {
  const Entry* const all = document.value.find("webhooks");
  for (const Webhook& hook : config.webhooks) {
    const Entry* const table = all == nullptr ? nullptr : all->value.find(hook.name);
    if (table == nullptr || hook.url.text.empty()) continue;
    const std::string path = join_path("webhooks", hook.name);
    if (hook.url.tls && hook.ca_file.empty()) {
      reader.error(table->place(),
                   fmt::format("{}: an https URL needs ca_file, to know whom it talks to", path));
    }
    if (hook.url.tls) continue;
    for (const char* key : {"ca_file", "server_name"}) {
      const Entry* const entry = table->value.find(key);
      if (entry == nullptr) continue;
      reader.error(entry->at,
                   fmt::format("{} is for https URLs, and this one is http", join_path(path, key)));
    }
  }
}

}  // namespace sluice::conf
