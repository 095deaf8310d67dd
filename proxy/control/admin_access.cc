#include "proxy/control/admin_access.h"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/control/container.h"
#include "proxy/control/event_log.h"
#include "proxy/http/message.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kUserRecordBytesMax = 16 * 1024;

std::expected<std::uint32_t, std::string> uid_of(const std::string& user) {
  std::uint32_t uid = 0;
  const char* const end = user.data() + user.size();
  if (const auto parsed = std::from_chars(user.data(), end, uid);
      parsed.ec == std::errc{} && parsed.ptr == end) {
    return uid;
  }
  std::vector<char> memory(kUserRecordBytesMax);
  passwd record{};
  passwd* found = nullptr;
  const int error = ::getpwnam_r(user.c_str(), &record, memory.data(), memory.size(), &found);
  if (found != nullptr) return found->pw_uid;
  return std::unexpected(fmt::format(
      "admin.users: {}", error == 0
                             ? fmt::format("this machine has no user {}", user)
                             : fmt::format("looking up {}: {}", user, std::strerror(error))));
}

}  // namespace

std::expected<AdminAccess::Prepared, std::vector<std::string>> AdminAccess::prepare(
    const conf::Config& config) {
  Prepared prepared;
  std::vector<std::string> errors;
  for (const conf::NamedGrant& user : config.admin.users) {
    const auto uid = uid_of(user.name);
    if (!uid) {
      errors.push_back(uid.error());
      continue;
    }
    const auto& uids = config.admin.uids;
    const bool twice = std::ranges::find(uids, *uid) != uids.end() ||
                       !prepared.facts.users.emplace(*uid, user.grant).second;
    if (twice) {
      errors.push_back(
          fmt::format("admin.users: {} is user {}, who is named before already", user.name, *uid));
    }
  }
  auto tokens = TokensFile::read(config.admin.tokens_file);
  if (tokens) {
    prepared.tokens = std::move(*tokens);
  } else {
    errors.insert(errors.end(), tokens.error().begin(), tokens.error().end());
  }
  switch (config.admin.container) {
    case conf::Container::automatic:
      prepared.facts.container = find_container();
      break;
    case conf::Container::yes:
      prepared.facts.container = "the configuration says so";
      break;
    case conf::Container::no:
      break;
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return prepared;
}

void AdminAccess::commit(Prepared prepared) {
  if (prepared.facts.container != facts_.container) {
    log_event(Level::info, "container",
              {{"because", prepared.facts.container.empty() ? "no" : prepared.facts.container},
               {"meaning", prepared.facts.container.empty()
                               ? "callers on loopback are known by their uid"
                               : "who writes over loopback needs a token; admin.container = false "
                                 "turns that off"}});
  }
  facts_ = std::move(prepared.facts);
  tokens_.use(std::move(prepared.tokens));
}

// RFC 6750 section 2.1; the scheme's case doesn't matter (RFC 9110 section 11.1).
admin::Caller::Credentials AdminAccess::credentials(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  admin::Caller::Credentials credentials;
  credentials.bearer = http::equals_ignoring_case(authorization.substr(0, kScheme.size()), kScheme);
  if (!credentials.bearer) return credentials;
  authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  if (const conf::Token* token = tokens_.find(authorization)) credentials.token = *token;
  return credentials;
}

}  // namespace sluice::proxy
