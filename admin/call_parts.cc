// What the calls share: names that don't exist, and what every write may say.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "admin/calls.h"
#include "admin/problem.h"
#include "proxy/base/crc32c.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

using Names = std::vector<std::string_view>;

// Callers can't get in each other's way.
std::string key_text(const std::string& identity, const std::string& key) {
  return identity + ' ' + key;
}

// Printable ASCII, as RFC 9110 has it in fields, without the space: a key is one word.
std::expected<std::optional<routing::IdempotencyKey>, Reply> read_key(const Call& call,
                                                                      const Command& command) {
  if (!call.request.idempotency_key) return std::nullopt;
  const std::string& text = *call.request.idempotency_key;
  const auto fits = [](char c) { return c > ' ' && c <= '~'; };
  if (text.empty() || text.size() > kIdempotencyKeyBytesMax || !std::ranges::all_of(text, fits)) {
    return std::unexpected(
        problem(400, "bad_idempotency_key",
                fmt::format("Idempotency-Key is not one word of at most {} printable characters.",
                            kIdempotencyKeyBytesMax)));
  }
  // A key stands for one call only.
  const std::string said =
      call.request.method + ' ' + call.request.target + '\n' + call.request.body;
  return routing::IdempotencyKey{key_text(command.origin.identity, text),
                                 fmt::format("{:08x}-{}", crc32c(as_bytes(said)), said.size())};
}

}  // namespace

Reply unknown_name(std::string_view code, std::string_view lacks, std::string_view name,
                   const Names& names) {
  return problem(
      404, code,
      fmt::format("{} {}: {}", lacks, routing::in_quotes(name), routing::suggestion(name, names)));
}

Reply unknown_route(const Call& call) {
  Names names;
  for (const auto& [name, state] : call.view.state.routes()) names.push_back(name);
  return unknown_name("unknown_route", "There is no route", call.names[0], names);
}

Reply unknown_backend(const Call& call) {
  Names names;
  for (const conf::Backend& backend : call.view.config.backends) names.push_back(backend.name);
  return unknown_name("unknown_backend", "There is no backend", call.names[0], names);
}

const conf::Backend* find_backend(const Call& call) {
  const auto& backends = call.view.config.backends;
  const auto found = std::ranges::find(backends, call.names[0], &conf::Backend::name);
  return found == backends.end() ? nullptr : &*found;
}

std::expected<routing::ServerKey, Reply> find_server(const Call& call) {
  const conf::Backend* backend = find_backend(call);
  if (backend == nullptr) return std::unexpected(unknown_backend(call));
  if (const conf::Server* server = routing::find_server(*backend, call.names[1])) {
    return routing::ServerKey{backend->name, server->name};
  }
  Names names;
  for (const conf::Server& server : backend->servers) names.push_back(server.name);
  return std::unexpected(unknown_name(
      "unknown_server", "Backend " + backend->name + " has no server", call.names[1], names));
}

std::expected<routing::RevisionNumber, Reply> parse_number(std::string_view what,
                                                           std::string_view text) {
  routing::RevisionNumber number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && number > 0) {
    return number;
  }
  return std::unexpected(problem(422, "bad_parameter",
                                 fmt::format("{} is {}: write the number of a revision, like 41.",
                                             what, routing::in_quotes(text))));
}

bool is_repeated(const Call& call) {
  const auto& key = call.request.idempotency_key;
  return key && call.view.state.known_key(key_text(call.request.identity.name, *key)) != nullptr;
}

std::expected<IfMatch, Reply> match_revision(const Call& call, routing::RevisionNumber current,
                                             std::string_view what) {
  if (is_repeated(call)) return IfMatch();
  return check_if_match(call.request, current, what);
}

std::optional<Reply> refuse_if_match(const Call& call, std::string_view why) {
  if (!call.request.if_match) return {};
  return problem(400, "bad_if_match", std::string(why));
}

std::expected<bool, Reply> parse_flag(const Parameters& parameters, std::string_view name) {
  const std::optional<std::string> text = parameters.find(name);
  if (!text || *text == "false") return false;
  if (*text == "true") return true;
  return std::unexpected(
      problem(422, "bad_parameter",
              fmt::format("{} is {}: write true or false.", name, routing::in_quotes(*text))));
}

Names write_names(std::initializer_list<std::string_view> own) {
  Names names(own);
  names.insert(names.end(), {"author", "reason", "format", "dry_run"});
  return names;
}

Names shift_names(std::initializer_list<std::string_view> own) {
  Names names = write_names(own);
  names.insert(names.end(), {"ttl", "on_lapse", "force", "wait", "timeout"});
  return names;
}

std::expected<Command, Reply> begin_command(const Call& call, const Parameters& parameters) {
  Command command;
  command.origin.identity = call.request.identity.name;
  if (const auto text = parameters.find("author")) {
    auto author = parse_remark("author", *text, kAuthorBytesMax);
    if (!author) return std::unexpected(std::move(author.error()));
    command.origin.author = std::move(*author);
  }
  if (const auto text = parameters.find("reason")) {
    auto reason = parse_remark("reason", *text, kReasonTextBytesMax);
    if (!reason) return std::unexpected(std::move(reason.error()));
    command.origin.reason = std::move(*reason);
  }
  if (const auto text = parameters.find("format")) {
    auto format = parse_format(*text);
    if (!format) return std::unexpected(std::move(format.error()));
    command.format = *format;
  }
  auto dry_run = parse_flag(parameters, "dry_run");
  if (!dry_run) return std::unexpected(std::move(dry_run.error()));
  command.dry_run = *dry_run;
  auto key = read_key(call, command);
  if (!key) return std::unexpected(std::move(key.error()));
  if (!command.dry_run) command.key = std::move(*key);
  return command;
}

std::expected<Change, Reply> begin_change(const Parameters& parameters) {
  Change change;
  if (const auto text = parameters.find("ttl")) {
    auto ttl = parse_span("ttl", *text, kLeaseMin, kLeaseMax);
    if (!ttl) return std::unexpected(std::move(ttl.error()));
    change.transaction.lease =
        routing::LeaseWish{.ttl = std::chrono::duration_cast<std::chrono::seconds>(*ttl)};
  }
  if (const auto text = parameters.find("on_lapse")) {
    const auto on_lapse = routing::parse_on_lapse(*text);
    if (!on_lapse || !change.transaction.lease) {
      return std::unexpected(
          problem(422, "bad_parameter",
                  fmt::format("on_lapse is {}: write revert or freeze, beside a ttl.",
                              routing::in_quotes(*text))));
    }
    change.transaction.lease->on_lapse = *on_lapse;
  }
  auto force = parse_flag(parameters, "force");
  if (!force) return std::unexpected(std::move(force.error()));
  change.transaction.force = *force;
  if (const auto text = parameters.find("wait")) {
    if (*text != "healthy") {
      return std::unexpected(
          problem(422, "bad_wait",
                  fmt::format("wait is {}: a change waits for nothing but healthy.",
                              routing::in_quotes(*text))));
    }
    change.wait_healthy = kHealthyWaitDefault;
  }
  if (const auto text = parameters.find("timeout")) {
    auto timeout = parse_span("timeout", *text, Duration::zero(), kWaitMax);
    if (!timeout) return std::unexpected(std::move(timeout.error()));
    if (!change.wait_healthy) {
      return std::unexpected(
          problem(422, "bad_parameter", "timeout is of use beside wait=healthy only."));
    }
    change.wait_healthy = *timeout;
  }
  return change;
}

}  // namespace sluice::admin
