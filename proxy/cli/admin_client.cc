#include "proxy/cli/admin_client.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "conf/parser.h"
#include "proxy/cli/words.h"
#include "proxy/http/h1_writer.h"
#include "proxy/http/syntax.h"

namespace sluice::cli {
namespace {

// Where Debian keeps the system's trust anchors, and where others do.
constexpr const char* kSystemAnchors[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
constexpr std::size_t kPemBytesMax = 4 * 1024 * 1024;
// How much of an answer that is nobody's is repeated.
constexpr std::size_t kExcerptBytesMax = 120;

std::unexpected<Failure> usage(std::string text) {
  return std::unexpected(Failure{ExitStatus::usage, std::move(text)});
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::expected<std::string, Failure> read_file(const std::string& path, std::string_view what,
                                              std::size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return usage(fmt::format("{} {} can't be read", what, printable(path)));
  std::string text(bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > bytes_max)
    return usage(fmt::format("{} {} is longer than {} bytes", what, printable(path), bytes_max));
  return text;
}

std::expected<std::string, Failure> find_token(const ClientOptions& options) {
  std::string path = options.token_file;
  if (path.empty()) path = environment("SLUICE_TOKEN_FILE");
  std::string token = path.empty() ? environment("SLUICE_TOKEN") : "";
  if (!path.empty()) {
    auto text = read_file(path, "token file", kTokenBytesMax);
    if (!text) return std::unexpected(std::move(text.error()));
    token = text->substr(0, text->find('\n'));
    if (token.ends_with('\r')) token.pop_back();
    if (token.empty()) return usage(fmt::format("token file {} is empty", printable(path)));
  }
  for (const char c : token) {
    if (c > 0x20 && c < 0x7f) continue;
    return usage("the token has characters in it that no token has");
  }
  return token;
}

std::expected<std::string, Failure> find_anchors(const ClientOptions& options) {
  if (!options.ca_file.empty()) return read_file(options.ca_file, "--ca-file", kPemBytesMax);
  for (const char* path : kSystemAnchors) {
    if (access(path, R_OK) == 0) return read_file(path, "the system's certificates,", kPemBytesMax);
  }
  return usage("the system has no certificates to check the server's by: say --ca-file");
}

std::expected<std::shared_ptr<const tls::ClientContext>, Failure> make_tls(
    const ClientOptions& options) {
  auto anchors = find_anchors(options);
  if (!anchors) return std::unexpected(std::move(anchors.error()));
  tls::ClientOptions tls{.trust_anchors_pem = std::move(*anchors),
                         .versions = tls::Versions::tls12_or_tls13,
                         .alpn = {"http/1.1"}};
  if (!options.client_cert.empty()) {
    auto certificate = read_file(options.client_cert, "--client-cert", kPemBytesMax);
    if (!certificate) return std::unexpected(std::move(certificate.error()));
    auto key = read_file(options.client_key, "--client-key", kPemBytesMax);
    if (!key) return std::unexpected(std::move(key.error()));
    tls.certificate_pem = std::move(*certificate);
    tls.key_pem = std::move(*key);
  }
  auto context = tls::ClientContext::make(tls);
  if (!context) return usage(context.error());
  return std::move(*context);
}

bool is_json(std::string_view content_type) {
  return content_type.starts_with("application/json") ||
         content_type.starts_with("application/problem+json");
}

std::string excerpt(std::string_view body) {
  const std::string_view line = body.substr(0, std::min(body.find('\n'), kExcerptBytesMax));
  return line.empty() ? "" : fmt::format(": \"{}\"", printable(line));
}

// A problem's own sentences: those of a refused reload, for one.
void append_lists(std::string& text, const nlohmann::ordered_json& problem) {
  for (const auto& [name, value] : problem.items()) {
    if (!value.is_array()) continue;
    for (const auto& each : value) {
      if (each.is_string()) text += "\n  " + printable(each.get_ref<const std::string&>());
    }
  }
}

Failure not_sluice(const Place& place, const http::ResponseHead& head, std::string_view body) {
  std::string text =
      fmt::format("{} ({}) is not Sluice's admin API: it answered {} {}", place.to_string(),
                  place.said_by, head.status, http::reason_phrase(head.status));
  if (const auto location = head.fields.find(http::FieldId::location)) {
    text += fmt::format(", which sends elsewhere (\"{}\"); nobody is followed",
                        printable(location->substr(0, kExcerptBytesMax)));
  } else {
    text += fmt::format(" with {}{}",
                        printable(head.fields.find(http::FieldId::content_type)
                                      .value_or("no Content-Type")
                                      .substr(0, kExcerptBytesMax)),
                        excerpt(body));
  }
  return {ExitStatus::unreachable, std::move(text)};
}

}  // namespace

Query& Query::add(std::string_view name, std::string_view value) {
  text_ += text_.empty() ? '?' : '&';
  text_ += percent_encode(name) + '=' + percent_encode(value);
  return *this;
}

std::expected<Place, Failure> find_place(const ClientOptions& options) {
  const auto said = [](const std::string& text, std::string who) -> std::expected<Place, Failure> {
    auto place = parse_place(text);
    if (!place) return usage(fmt::format("{}: {}", who, place.error()));
    place->said_by = std::move(who);
    return std::move(*place);
  };
  if (!options.admin.empty()) return said(options.admin, "--admin");
  if (!options.config_said) {
    if (const std::string text = environment("SLUICE_ADMIN"); !text.empty())
      return said(text, "$SLUICE_ADMIN");
  }
  const std::string& file = options.config_path;
  if (options.config_said || access(file.c_str(), R_OK) == 0) {
    const auto config = conf::load(file);
    if (config) {
      auto place = place_of(config->admin);
      if (!place) {
        return usage(fmt::format("{} {}: say --admin", printable(file), place.error()));
      }
      place->said_by = "admin.listen of " + printable(file);
      return std::move(*place);
    }
    if (options.config_said) {
      std::string text = "the configuration file does not say where the admin API is:";
      for (const auto& error : config.error()) text += "\n  " + printable(error.to_string());
      return usage(std::move(text));
    }
  }
  if (access(std::string(kAdminSocket).c_str(), F_OK) == 0)
    return said("unix:" + std::string(kAdminSocket), "the default");
  return said(fmt::format("http://127.0.0.1:{}", kAdminPort), "the default");
}

AdminClient::AdminClient(Place place, std::shared_ptr<const tls::ClientContext> tls,
                         std::string token, std::optional<Duration> timeout)
    : client_(std::move(place), std::move(tls)), token_(std::move(token)), timeout_(timeout) {
}

std::expected<std::unique_ptr<AdminClient>, Failure> AdminClient::make(
    const ClientOptions& options) {
  auto place = find_place(options);
  if (!place) return std::unexpected(std::move(place.error()));
  auto token = find_token(options);
  if (!token) return std::unexpected(std::move(token.error()));
  if (!token->empty() && place->crosses_a_network_in_clear()) {
    return usage(fmt::format("the token would cross the network in clear to {}: use https",
                             place->to_string()));
  }
  std::shared_ptr<const tls::ClientContext> tls;
  if (place->scheme == Place::Scheme::https) {
    auto made = make_tls(options);
    if (!made) return std::unexpected(std::move(made.error()));
    tls = std::move(*made);
  }
  return std::unique_ptr<AdminClient>(new AdminClient(
      std::move(*place), std::move(tls), std::move(*token), parse_duration(options.timeout)));
}

TimePoint AdminClient::deadline(Duration waits) const {
  return std::chrono::steady_clock::now() + timeout_.value_or(kTimeoutDefault + waits);
}

std::expected<Answer, Failure> AdminClient::call(Call call, Duration waits) {
  if (!token_.empty()) call.fields.append("Authorization", "Bearer " + token_);
  auto answer = client_.call(call, deadline(waits));
  if (!answer) return answer;
  if (auto failure = refusal(place(), answer->head, answer->body))
    return std::unexpected(std::move(*failure));
  return answer;
}

std::expected<Answer, Failure> AdminClient::get(const std::string& target) {
  return call({.target = target});
}

std::expected<bool, Failure> AdminClient::stream(Call call, bool endless,
                                                 const HttpClient::Sink& sink) {
  if (!token_.empty()) call.fields.append("Authorization", "Bearer " + token_);
  std::string refused;
  std::optional<http::ResponseHead> refused_head;
  const HttpClient::Sink filter{.on_head =
                                    [&](const http::ResponseHead& head) {
                                      if (head.status >= 200 && head.status < 300)
                                        return sink.on_head(head);
                                      refused_head = head;
                                      return true;
                                    },
                                .on_body =
                                    [&](std::string_view piece) {
                                      if (!refused_head) return sink.on_body(piece);
                                      if (refused.size() + piece.size() > kAnswerBytesMax)
                                        return false;
                                      refused += piece;
                                      return true;
                                    }};
  const TimePoint until = deadline(Duration::zero());
  auto done = client_.stream(call, until, endless ? kNever : until, filter);
  if (!done || !refused_head) return done;
  return std::unexpected(*refusal(place(), *refused_head, refused));
}

std::optional<Failure> refusal(const Place& place, const http::ResponseHead& head,
                               std::string_view body) {
  const std::string_view type = head.fields.find(http::FieldId::content_type).value_or("");
  const bool good = head.status >= 200 && head.status < 300;
  if (head.status == 204) return {};
  if (good && !is_json(type)) {
    // Tables are text; a page is another server's.
    if (type.starts_with("text/plain") || type.starts_with("text/event-stream")) return {};
    return not_sluice(place, head, body);
  }
  if (!is_json(type)) return not_sluice(place, head, body);
  const auto json = nlohmann::ordered_json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    return Failure{ExitStatus::unreachable,
                   fmt::format("{} ({}) is not Sluice's admin API: its JSON is none{}",
                               place.to_string(), place.said_by, excerpt(body))};
  }
  if (good) return {};
  const auto code = json.find("code");
  const auto detail = json.find("detail");
  if (code == json.end() || detail == json.end() || !code->is_string() || !detail->is_string())
    return not_sluice(place, head, body);
  Failure failure{ExitStatus::refused,
                  fmt::format("{} ({}, {})", printable(detail->get_ref<const std::string&>()),
                              printable(code->get_ref<const std::string&>()), head.status),
                  std::string(body)};
  append_lists(failure.text, json);
  if (head.status == 504) failure.status = ExitStatus::timed_out;
  if (head.status >= 500 && head.status != 504) failure.status = ExitStatus::failed;
  if (head.status < 400) failure.status = ExitStatus::unreachable;
  return failure;
}

}  // namespace sluice::cli
