#include "proxy/cli/token_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <expected>
#include <iostream>
#include <optional>
#include <utility>

#include "admin/identity.h"
#include "admin/json_writer.h"
#include "conf/parser.h"
#include "conf/tokens.h"
#include "proxy/cli/tokens_edit.h"
#include "tls/digest.h"

namespace sluice::proxy {
namespace {

// As README.md has them.
constexpr int kDone = 0;
constexpr int kRefused = 1;
constexpr int kUsage = 2;

constexpr std::size_t kTokenBytes = 32;  // of randomness
constexpr int kExpiryDaysMax = 36'500;

int fail(int status, std::string_view sentence) {
  fmt::print(stderr, "{}\n", sentence);
  return status;
}

WallTime now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

// `90d`, `12h`, or as conf::parse_expiry() has it.
std::optional<WallTime> parse_expires(std::string_view text) {
  if (const auto time = conf::parse_expiry(text)) return time;
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(parsed.ptr, text.data() + text.size());
  if (parsed.ec != std::errc{} || number < 1 || number > kExpiryDaysMax) return {};
  if (unit == "d") return now() + std::chrono::days(number);
  if (unit == "h") return now() + std::chrono::hours(number);
  return {};
}

std::expected<std::string, std::string> file_from(const std::string& config_path) {
  const auto config = conf::load(config_path);
  if (!config) {
    return std::unexpected(
        fmt::format("say which with --file, since {}", config.error().front().to_string()));
  }
  if (config->admin.tokens_file.empty()) {
    return std::unexpected(
        fmt::format("say which with --file: {} has no admin.tokens_file", config_path));
  }
  return config->admin.tokens_file;
}

std::string scope_of(const conf::Grant& grant) {
  if (!grant.limited()) return "everything";
  std::string text;
  for (const std::string& route : grant.routes)
    text += (text.empty() ? "" : " ") + ("route:" + route);
  for (const std::string& backend : grant.backends) {
    text += (text.empty() ? "" : " ") + ("backend:" + backend);
  }
  return text;
}

// Never what a token could be known by.
std::string tokens_json(const std::vector<conf::Token>& tokens) {
  admin::JsonWriter json;
  const auto write_names = [&json](std::string_view key, const std::vector<std::string>& names) {
    json.key(key).begin_array(admin::JsonWriter::Layout::one_line);
    for (const std::string& name : names) json.value(name);
    json.end_array();
  };
  json.begin_object();
  json.key("tokens").begin_array();
  for (const conf::Token& token : tokens) {
    json.begin_object();
    json.key("name").value(token.name);
    json.key("id").value(token.id);
    json.key("role").value(admin::word_for(token.grant.role));
    if (!token.created.empty()) json.key("created").value(token.created);
    if (token.expires) json.key("expires").value(conf::write_expiry(*token.expires));
    json.key("expired").value(token.expires && *token.expires <= now());
    write_names("routes", token.grant.routes);
    write_names("backends", token.grant.backends);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json.finish();
}

}  // namespace

TokenCommand::TokenCommand(CLI::App& app)
    : token_(app.add_subcommand("token", "Make, list and revoke tokens for the admin interface")) {
  token_->require_subcommand(1);
  create_ = token_->add_subcommand(
      "create", "Make a token: it is printed once, on standard output, and nowhere kept");
  create_->add_option("--name", name_, "Its holder's name: a-z, 0-9, '.', '_', '-'")->required();
  create_->add_option("--role", role_, "viewer, operator or admin")
      ->required()
      ->check(CLI::IsMember({"viewer", "operator", "admin"}));
  create_->add_option("--route", routes_, "A route that it may change, or '*'; default: everything")
      ->expected(1);
  create_->add_option("--backend", backends_, "A backend whose servers it may drain, or '*'")
      ->expected(1);
  create_->add_option("--expires", expires_,
                      "When it stops being good: 90d, 12h, 2027-02-26, 2027-02-26T18:30:00Z");
  create_->add_option("--file", file_, "Add it to this file; default: print the line for one");
  list_ = token_->add_subcommand("list", "List the tokens of a file");
  revoke_ = token_->add_subcommand("revoke", "Take tokens out of a file");
  revoke_->add_option("which", which_, "NAME for all of that name, or NAME.ID for one")->required();
  list_->add_flag("--json", json_, "Print them as JSON");
  for (CLI::App* each : {list_, revoke_}) {
    each->add_option("--file", file_, "The file; default: admin.tokens_file of the configuration");
  }
  hash_ = token_->add_subcommand("hash", "Read a token from standard input, print its sha256");
}

int TokenCommand::run(const std::string& config_path) {
  if (create_->parsed()) return create();
  if (hash_->parsed()) return hash();
  return list_->parsed() ? list(config_path) : revoke(config_path);
}

int TokenCommand::create() {
  const std::string text = std::string(conf::kTokenPrefix) + tls::random_base64url(kTokenBytes);
  conf::Token token{.name = name_, .sha256 = tls::sha256_hex(text)};
  token.id = token.sha256.substr(0, conf::kTokenIdDigits);
  token.created = conf::write_expiry(now());
  token.grant = {.role = role_ == "admin"      ? conf::Role::admin
                         : role_ == "operator" ? conf::Role::operator_
                                               : conf::Role::viewer,
                 .routes = routes_,
                 .backends = backends_};
  if (!expires_.empty()) {
    token.expires = parse_expires(expires_);
    if (!token.expires) {
      return fail(kUsage, fmt::format("--expires: {} is neither a time like 90d or 12h nor a day "
                                      "like 2027-02-26",
                                      expires_));
    }
    if (*token.expires <= now()) return fail(kUsage, "--expires: that is over already");
  }
  const std::string line = conf::token_line(token);
  // Names and limits are judged as the file will be.
  if (const auto read = conf::parse_tokens(line + "\n", "token"); !read) {
    return fail(kUsage, read.error().front().message);
  }
  if (!file_.empty()) {
    if (const auto added = add_token(file_, token); !added) return fail(kRefused, added.error());
    fmt::print(stderr, "Added {}.{} to {}. The token is shown this once:\n", name_, token.id,
               file_);
  } else {
    fmt::print(stderr,
               "A line for the tokens file (admin.tokens_file):\n{}\nThe token is shown "
               "this once:\n",
               line);
  }
  fmt::print("{}\n", text);
  return kDone;
}

int TokenCommand::list(const std::string& config_path) {
  const auto file = file_.empty() ? file_from(config_path) : file_;
  if (!file) return fail(kUsage, file.error());
  const auto tokens = read_tokens(*file);
  if (!tokens) return fail(kRefused, tokens.error());
  if (json_) {
    fmt::print("{}", tokens_json(*tokens));
    return kDone;
  }
  constexpr const char* kRow = "{:<30} {:<9} {:<21} {:<21} {}\n";
  fmt::print(fmt::runtime(kRow), "TOKEN", "ROLE", "CREATED", "EXPIRES", "ON");
  for (const conf::Token& token : *tokens) {
    std::string expires = token.expires ? conf::write_expiry(*token.expires) : "never";
    if (token.expires && *token.expires <= now()) expires = "expired";
    fmt::print(fmt::runtime(kRow), token.name + "." + token.id, admin::word_for(token.grant.role),
               token.created.empty() ? "?" : token.created, expires, scope_of(token.grant));
  }
  return kDone;
}

int TokenCommand::revoke(const std::string& config_path) {
  const auto file = file_.empty() ? file_from(config_path) : file_;
  if (!file) return fail(kUsage, file.error());
  const auto count = revoke_tokens(*file, which_);
  if (!count) return fail(kRefused, count.error());
  fmt::print("revoked {} token{} in {}\n", *count, *count == 1 ? "" : "s", *file);
  return kDone;
}

int TokenCommand::hash() {
  std::string text;
  std::getline(std::cin, text);
  if (text.empty()) return fail(kUsage, "no token came on standard input");
  fmt::print("{}\n", tls::sha256_hex(text));
  return kDone;
}

}  // namespace sluice::proxy
