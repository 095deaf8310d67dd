#include "proxy/cli/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "admin/table.h"
#include "proxy/base/rfc3339.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

// With more servers than this only those that take no new work are listed.
constexpr std::size_t kListedServersMax = 24;

// A member, or null: what is missing is as good as null, and nothing an answer lacks may harm.
const Json& at(const Json& value, std::string_view name) {
  static const Json kNull;
  if (!value.is_object()) return kNull;
  const auto found = value.find(std::string(name));
  return found == value.end() ? kNull : *found;
}

std::string text_at(const Json& value, std::string_view name) {
  return cell_text(at(value, name));
}

bool is_true(const Json& value) {
  return value.is_boolean() && value.get<bool>();
}

bool is_false(const Json& value) {
  return value.is_boolean() && !value.get<bool>();
}

double number(const Json& value) {
  return value.is_number() ? value.get<double>() : 0;
}

const Json& object(const Json& value) {
  static const Json kEmpty = Json::object();
  return value.is_object() ? value : kEmpty;
}

const Json& array(const Json& value) {
  static const Json kEmpty = Json::array();
  return value.is_array() ? value : kEmpty;
}

template <typename F>
void for_each_server(const StatusAnswers& answers, F&& f) {
  for (const auto& [backend, value] : object(at(answers.backends, "backends")).items()) {
    for (const Json& server : array(at(value, "servers"))) f(backend, server);
  }
}

bool takes_work(const StatusAnswers& answers, const std::string& backend) {
  const Json& servers = array(at(at(at(answers.backends, "backends"), backend), "servers"));
  return servers.empty() || std::ranges::any_of(servers, [](const Json& server) {
           return !is_false(at(server, "takes_new_work"));
         });
}

// "4d 3h", "3h 12m", "12m 5s", "5s".
std::string span_text(Duration span) {
  const auto seconds = std::max<std::int64_t>(span / std::chrono::seconds(1), 0);
  const std::int64_t days = seconds / 86400;
  const std::int64_t hours = seconds / 3600 % 24;
  const std::int64_t minutes = seconds / 60 % 60;
  if (days > 0) return fmt::format("{}d {}h", days, hours);
  if (hours > 0) return fmt::format("{}h {}m", hours, minutes);
  if (minutes > 0) return fmt::format("{}m {}s", minutes, seconds % 60);
  return fmt::format("{}s", seconds);
}

// How long ago, or till then; "-" where the API's time can't be read.
std::string distance(const Json& time, WallTime now) {
  if (!time.is_string()) return "-";
  const auto parsed = parse_rfc3339(time.get_ref<const std::string&>());
  if (!parsed) return cell_text(time);
  return *parsed > now ? "in " + span_text(*parsed - now) : span_text(now - *parsed) + " ago";
}

void judge_routes(const StatusAnswers& answers, Status& status) {
  for (const auto& [name, route] : object(at(answers.weights, "routes")).items()) {
    const Json& in_force = at(route, "in_force");
    if (is_false(at(in_force, "everywhere"))) {
      std::string who;
      for (const Json& group : array(at(in_force, "by_worker"))) {
        if (text_at(group, "revision") == text_at(answers.weights, "revision")) continue;
        who += fmt::format("{}{} (revision {})", who.empty() ? "" : "; ", text_at(group, "workers"),
                           text_at(group, "revision"));
      }
      status.wrong.push_back(fmt::format("Route {} is not in force on every worker{}{}",
                                         printable(name), who.empty() ? "" : ": behind are ", who));
    }
    for (const auto& [backend, weight] : object(at(route, "weights")).items()) {
      if (number(weight) > 0 && !takes_work(answers, backend)) {
        status.wrong.push_back(
            fmt::format("Route {} sends to {}, none of whose servers takes new work",
                        printable(name), printable(backend)));
      }
    }
  }
}

void judge_servers(const StatusAnswers& answers, Status& status) {
  for_each_server(answers, [&](const std::string& backend, const Json& server) {
    const std::string state = text_at(server, "status");
    if (state != "down" && state != "unknown") return;
    const Json& error = at(server, "last_error");
    status.wrong.push_back(
        fmt::format("Server {}/{} is {}{}", printable(backend), text_at(server, "name"),
                    state == "down" ? "down since " + text_at(server, "since") : "not probed yet",
                    error.is_string() && error != "" ? ": " + cell_text(error) : ""));
  });
}

std::string head_text(const StatusAnswers& answers, WallTime now) {
  const Json& index = answers.index;
  std::string text =
      fmt::format("sluice {}, pid {}, started {}, {} workers, {}\n", text_at(index, "version"),
                  text_at(index, "pid"), distance(at(index, "started"), now),
                  text_at(index, "workers"), text_at(index, "config"));
  text += text_at(index, "ready_because") + '\n';
  text +=
      fmt::format("Revision {}, epoch {}\n", text_at(index, "revision"), text_at(index, "epoch"));
  if (const Json& ledger = at(index, "ledger"); !ledger.is_null())
    text += fmt::format("Ledger: {} good copies\n", text_at(ledger, "good_copies"));
  return text;
}

// "90", or what each group of workers has: "90, 50".
std::string in_force_text(const Json& route, const std::string& backend) {
  const Json& in_force = at(route, "in_force");
  if (!is_false(at(in_force, "everywhere"))) return text_at(at(in_force, "weights"), backend);
  std::string text;
  for (const Json& group : array(at(in_force, "by_worker")))
    text += (text.empty() ? "" : ", ") + text_at(at(group, "weights"), backend);
  return text;
}

std::string share_text(const Json& route, std::size_t window, const std::string& backend) {
  const Json& windows = array(at(route, "observed"));
  if (window >= windows.size() || number(at(windows[window], "requests")) == 0) return "-";
  return fmt::format("{:.2f}%", 100 * number(at(at(windows[window], "share"), backend)));
}

std::string routes_text(const StatusAnswers& answers) {
  admin::Table table(
      {"ROUTE", "BACKEND", "WEIGHT", "IN FORCE", "LAST 1000", "LAST MINUTE", "STATE", "REVISION"});
  for (const auto& [name, route] : object(at(answers.weights, "routes")).items()) {
    for (const auto& [backend, weight] : object(at(route, "weights")).items()) {
      std::string state = text_at(at(route, "states"), backend);
      if (!at(route, "maintenance").is_null()) state = "maintenance";
      table.add({name, backend, cell_text(weight), in_force_text(route, backend),
                 share_text(route, 0, backend), share_text(route, 1, backend), state,
                 text_at(route, "revision")});
    }
  }
  return '\n' + table.finish();
}

std::string servers_text(const StatusAnswers& answers, WallTime now) {
  std::size_t all = 0;
  std::size_t taking = 0;
  for_each_server(answers, [&](const std::string&, const Json& server) {
    ++all;
    if (is_true(at(server, "takes_new_work"))) ++taking;
  });
  std::string text = fmt::format("\n{} of {} servers take new work\n", taking, all);
  admin::Table table(
      {"SERVER", "ADDRESS", "WEIGHT", "STATUS", "SINCE", "RUNNING", "DRAIN", "LAST ERROR"});
  std::size_t listed = 0;
  for_each_server(answers, [&](const std::string& backend, const Json& server) {
    if (all > kListedServersMax && is_true(at(server, "takes_new_work"))) return;
    ++listed;
    std::string drain = "-";
    if (is_true(at(server, "draining")))
      drain = is_true(at(server, "safe_to_stop")) ? "safe to stop" : "draining";
    table.add({backend + '/' + text_at(server, "name"), text_at(server, "address"),
               text_at(server, "weight"), text_at(server, "status"),
               distance(at(server, "since"), now), text_at(server, "running"), drain,
               text_at(server, "last_error")});
  });
  return listed == 0 ? text : text + table.finish();
}

std::string leases_text(const StatusAnswers& answers, WallTime now) {
  const Json& leases = array(at(answers.leases, "leases"));
  if (leases.empty()) return {};
  admin::Table table({"LEASE", "ROUTES", "LAPSES", "THEN"});
  for (const Json& lease : leases) {
    table.add({text_at(lease, "revision"), text_at(lease, "routes"),
               distance(at(lease, "deadline"), now), text_at(lease, "on_lapse")});
  }
  return '\n' + table.finish();
}

std::string history_text(const StatusAnswers& answers, WallTime now) {
  const Json& revisions = array(at(answers.history, "revisions"));
  if (revisions.empty()) return {};
  admin::Table table({"REVISION", "WHEN", "KIND", "AUTHOR", "REASON", "ROUTES"});
  for (const Json& revision : revisions) {
    std::string routes;
    for (const Json& change : array(at(revision, "changes"))) {
      if (at(change, "route").is_null()) continue;
      routes += (routes.empty() ? "" : ", ") + text_at(change, "route");
      const Json& after = at(change, "after");
      const Json& weights = at(after, "weights").is_null() ? after : at(after, "weights");
      if (weights.is_object()) routes += ' ' + cell_text(weights);
    }
    const Json& author = at(revision, "author");
    table.add(
        {text_at(revision, "revision"), distance(at(revision, "time"), now),
         text_at(revision, "kind"),
         author.is_string() && author != "" ? cell_text(author) : text_at(revision, "identity"),
         text_at(revision, "reason"), routes});
  }
  return '\n' + table.finish();
}

std::string conflicts_text(const StatusAnswers& answers) {
  const Json& conflicts = array(at(answers.conflicts, "conflicts"));
  if (conflicts.empty()) return {};
  std::string text = "\nAt the last reload that found the file and what was shifted to differ:\n";
  for (const Json& conflict : conflicts) text += "  " + cell_text(conflict) + '\n';
  return text;
}

}  // namespace

Status judge_status(const StatusAnswers& answers) {
  Status status;
  const Json& index = answers.index;
  if (!is_true(at(index, "ready")))
    status.wrong.push_back("Sluice is not ready: " + text_at(index, "ready_because"));
  const Json& copies = at(at(index, "ledger"), "alarm");
  if (copies.is_string() && copies != "")
    status.wrong.push_back("The ledger is not well: " + cell_text(copies));
  for (const Json& alarm : array(at(index, "alarms"))) {
    if (at(alarm, "reason") == copies) continue;
    status.wrong.push_back(
        fmt::format("{}: {}", text_at(alarm, "alarm"), text_at(alarm, "reason")));
  }
  judge_routes(answers, status);
  judge_servers(answers, status);
  for (const Json& webhook : array(at(answers.webhooks, "webhooks"))) {
    if (number(at(webhook, "failures_in_a_row")) == 0) continue;
    status.wrong.push_back(fmt::format("Webhook {} fails: {}", text_at(webhook, "name"),
                                       text_at(webhook, "last_error")));
  }
  return status;
}

std::string status_text(const StatusAnswers& answers, const Status& status, WallTime now) {
  std::string text = head_text(answers, now);
  if (!status.wrong.empty()) {
    text += "\nWrong:\n";
    for (const std::string& each : status.wrong) text += "- " + each + '\n';
  }
  return text + routes_text(answers) + servers_text(answers, now) + leases_text(answers, now) +
         history_text(answers, now) + conflicts_text(answers);
}

std::string status_json(const StatusAnswers& answers, const Status& status) {
  Json all = Json::object();
  all["healthy"] = status.wrong.empty();
  all["wrong"] = status.wrong;
  all["index"] = answers.index;
  all["weights"] = answers.weights;
  all["backends"] = answers.backends;
  all["leases"] = answers.leases;
  all["history"] = answers.history;
  all["conflicts"] = answers.conflicts;
  all["webhooks"] = answers.webhooks;
  return all.dump(2) + '\n';
}

}  // namespace sluice::cli
