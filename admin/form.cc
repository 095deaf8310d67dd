#include "admin/form.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "admin/json_writer.h"
#include "admin/problem.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kWeights = "weights";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The media type without its parameters, lower case.
std::string media_type(std::string_view content_type) {
  std::string type(trimmed(content_type.substr(0, content_type.find(';'))));
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type;
}

Reply unknown_parameter(std::string_view name, std::string_view where,
                        std::span<const std::string_view> names) {
  return problem(400, "unknown_parameter",
                 fmt::format("{} says {}, which this call does not know: {}", where,
                             routing::in_quotes(name), routing::suggestion(name, names)));
}

std::expected<void, Reply> read_form_body(Parameters& parameters, const Request& request,
                                          const Accepted& accepted) {
  if (request.body.starts_with('{') || request.body.starts_with('[')) {
    return std::unexpected(problem(415, "not_a_form",
                                   "The body looks like JSON but is sent as a form: add "
                                   "-H 'Content-Type: application/json'."));
  }
  auto fields = parse_form(request.body, "The body");
  if (!fields) return std::unexpected(std::move(fields.error()));
  for (auto& [name, value] : *fields) {
    const bool is_text = std::ranges::find(accepted.names, name) != accepted.names.end();
    if (accepted.weights && !is_text) {
      parameters.weights.emplace_back(std::move(name), std::move(value));
    } else if (auto done = parameters.put(name, std::move(value), "The body", accepted.names);
               !done) {
      return done;
    }
  }
  return {};
}

std::expected<void, Reply> read_json_body(Parameters& parameters, const Request& request,
                                          const Accepted& accepted) {
  auto body = parse_json_body(request.body);
  if (!body) return std::unexpected(std::move(body.error()));
  for (auto& [name, value] : body->texts) {
    const bool is_text = std::ranges::find(accepted.names, name) != accepted.names.end();
    if (accepted.words && !is_text) {
      parameters.weights.emplace_back(std::move(name), std::move(value));
      continue;
    }
    if (accepted.weights && !is_text) {
      return std::unexpected(problem(422, "bad_weight",
                                     fmt::format("{} is text: a weight is a number without quotes.",
                                                 routing::in_quotes(name))));
    }
    if (auto done = parameters.put(name, std::move(value), "The body", accepted.names); !done)
      return done;
  }
  if (!accepted.weights && body->has_weights_member)
    return std::unexpected(unknown_parameter(kWeights, "The body", accepted.names));
  for (auto& [name, value] : body->numbers) {
    if (accepted.words) {
      return std::unexpected(
          problem(422, "bad_parameter",
                  fmt::format("{} is a number: write active, sticky_only or off.",
                              routing::in_quotes(name))));
    }
    if (!accepted.weights)
      return std::unexpected(unknown_parameter(name, "The body", accepted.names));
    const bool is_text = std::ranges::find(accepted.names, name) != accepted.names.end();
    if (is_text && !body->has_weights_member) {
      return std::unexpected(problem(
          422, "bad_parameter",
          fmt::format("{} is text, not a number. The weight of a backend of that name goes inside "
                      "{{\"weights\": {{...}}}}.",
                      name)));
    }
    parameters.weights.emplace_back(std::move(name), std::move(value));
  }
  return {};
}

std::expected<void, Reply> read_body(Parameters& parameters, const Request& request,
                                     const Accepted& accepted) {
  if (request.body.empty()) return {};
  if (!accepted.body) {
    return std::unexpected(
        problem(400, "unexpected_body", fmt::format("{} takes no body here.", request.method)));
  }
  const std::string type = media_type(request.content_type.value_or(""));
  if (type == kFormType) return read_form_body(parameters, request, accepted);
  if (type == kJsonType) return read_json_body(parameters, request, accepted);
  return std::unexpected(
      problem(415, "unsupported_content_type",
              fmt::format("Content-Type {} is not known here: send a form ({}, what curl -d sends) "
                          "or JSON ({}).",
                          routing::in_quotes(type), kFormType, kJsonType)));
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return {};
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return {};
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::expected<FieldList, Reply> parse_form(std::string_view text, std::string_view where) {
  const auto wrong = [&](std::string_view piece, std::string_view why) {
    return std::unexpected(problem(
        400, "bad_form", fmt::format("{} says {}: {}.", where, routing::in_quotes(piece), why)));
  };
  FieldList fields;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (piece.empty()) continue;
    if (fields.size() == kFormFieldsMax)
      return wrong(piece, fmt::format("that is more than {} fields", kFormFieldsMax));
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos) return wrong(piece, "a field is name=value");
    std::string plain(piece);
    std::ranges::replace(plain, '+', ' ');
    auto name = percent_decode(std::string_view(plain).substr(0, equals));
    auto value = percent_decode(std::string_view(plain).substr(equals + 1));
    if (!name || !value) return wrong(piece, "a % needs two hex digits behind it");
    if (name->empty()) return wrong(piece, "the name before = is missing");
    fields.emplace_back(std::move(*name), std::move(*value));
  }
  return fields;
}

bool is_json(const Request& request) {
  return media_type(request.content_type.value_or("")) == kJsonType;
}

std::expected<void, Reply> Parameters::put(const std::string& name, std::string value,
                                           std::string_view where,
                                           std::span<const std::string_view> names) {
  if (std::ranges::find(names, name) == names.end())
    return std::unexpected(unknown_parameter(name, where, names));
  if (!texts.emplace(name, std::move(value)).second) {
    return std::unexpected(
        problem(400, "repeated_parameter", fmt::format("{} is said twice: once is enough.", name)));
  }
  return {};
}

std::optional<std::string> Parameters::find(std::string_view name) const {
  const auto found = texts.find(name);
  if (found == texts.end()) return {};
  return found->second;
}

std::expected<Parameters, Reply> read_parameters(const Request& request, std::string_view query,
                                                 const Accepted& accepted) {
  if (request.body.size() > kBodyBytesMax) {
    return std::unexpected(
        problem(413, "body_too_large",
                fmt::format("The body is {} bytes, more than the {} that a call may send.",
                            request.body.size(), kBodyBytesMax)));
  }
  auto fields = parse_form(query, "The query");
  if (!fields) return std::unexpected(std::move(fields.error()));
  Parameters parameters;
  for (auto& [name, value] : *fields) {
    if (auto done = parameters.put(name, std::move(value), "The query", accepted.names); !done)
      return std::unexpected(std::move(done.error()));
  }
  if (auto done = read_body(parameters, request, accepted); !done)
    return std::unexpected(std::move(done.error()));
  return parameters;
}

namespace {

// The Duration that the text says, or a clause about how to write one.
std::expected<Duration, std::string> parse_duration(std::string_view text, Duration min,
                                                    Duration max) {
  constexpr std::array<std::pair<std::string_view, Duration>, 5> kUnits = {
      {{"ms", std::chrono::milliseconds(1)},
       {"s", std::chrono::seconds(1)},
       {"m", std::chrono::minutes(1)},
       {"h", std::chrono::hours(1)},
       {"d", std::chrono::hours(24)}}};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto unit =
      std::ranges::find(kUnits, text.substr(digits), &std::pair<std::string_view, Duration>::first);
  if (digits == 0 || unit == kUnits.end()) {
    return std::unexpected("write a whole number and its unit, like 500ms, 60s or 2m");
  }
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + digits, number);
  if (parsed.ec != std::errc{} || number > max / unit->second) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(max).count();
    return std::unexpected(fmt::format("at most {}m", minutes));
  }
  if (number * unit->second < min) {
    return std::unexpected(
        fmt::format("at least {}s", std::chrono::duration_cast<std::chrono::seconds>(min).count()));
  }
  return number * unit->second;
}

}  // namespace

std::expected<Duration, Reply> parse_wait(std::string_view text) {
  auto wait = parse_duration(text, Duration::zero(), kWaitMax);
  if (wait) return *wait;
  return std::unexpected(problem(
      422, "bad_wait", fmt::format("wait is {}: {}.", routing::in_quotes(text), wait.error())));
}

std::expected<Duration, Reply> parse_span(std::string_view name, std::string_view text,
                                          Duration min, Duration max) {
  auto span = parse_duration(text, min, max);
  if (span) return *span;
  return std::unexpected(
      problem(422, "bad_parameter",
              fmt::format("{} is {}: {}.", name, routing::in_quotes(text), span.error())));
}

std::expected<Format, Reply> parse_format(std::string_view text) {
  if (text == "json") return Format::json;
  if (text == "text") return Format::text;
  return std::unexpected(
      problem(422, "bad_format",
              fmt::format("format is {}: write json or text.", routing::in_quotes(text))));
}

std::expected<std::string, Reply> parse_remark(std::string_view name, std::string_view text,
                                               std::size_t bytes_max) {
  const auto wrong = [&](std::string why) {
    return std::unexpected(problem(422, "bad_remark", fmt::format("{} {}.", name, why)));
  };
  if (text.size() > bytes_max)
    return wrong(fmt::format("is {} bytes: at most {}", text.size(), bytes_max));
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::ranges::any_of(text, is_control)) return wrong("has a control character in it");
  if (!is_valid_utf8(text)) return wrong("is not text in UTF-8");
  return std::string(text);
}

std::string etag(routing::RevisionNumber revision) {
  return fmt::format("\"{}\"", revision);
}

std::expected<std::optional<routing::RevisionNumber>, Reply> check_if_match(
    const Request& request, routing::RevisionNumber current, std::string_view what) {
  if (!request.if_match) return std::nullopt;
  std::string_view rest = trimmed(*request.if_match);
  if (rest == "*") return std::nullopt;
  const auto malformed = [&] {
    return std::unexpected(problem(
        400, "bad_if_match",
        fmt::format("If-Match is neither * nor ETags in double quotes, like \"{}\".", current)));
  };
  bool listed = false;
  bool matches = false;
  const std::string wanted = fmt::format("{}", current);
  while (!rest.empty()) {
    if (rest.front() == ',') {
      rest = trimmed(rest.substr(1));
      continue;
    }
    const bool weak = rest.starts_with("W/");
    if (weak) rest.remove_prefix(2);
    if (!rest.starts_with('"')) return malformed();
    const std::size_t close = rest.find('"', 1);
    if (close == std::string_view::npos) return malformed();
    listed = true;
    if (!weak && rest.substr(1, close - 1) == wanted) matches = true;
    rest = trimmed(rest.substr(close + 1));
    if (!rest.empty() && rest.front() != ',') return malformed();
  }
  if (!listed) return malformed();
  if (matches) return current;
  Reply stale = problem(
      412, "stale",
      fmt::format("{} is at revision {}, which If-Match does not name, so nothing was changed: "
                  "look at it again and state that revision.",
                  what, current),
      [&](JsonWriter& json) { json.key("revision").value(current); });
  stale.fields.emplace_back("ETag", etag(current));
  return std::unexpected(std::move(stale));
}

}  // namespace sluice::admin
