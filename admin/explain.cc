#include "admin/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/form.h"
#include "admin/json_writer.h"
#include "admin/parts.h"
#include "admin/problem.h"
#include "admin/table.h"
#include "proxy/base/check.h"
#include "routing/wording.h"

namespace sluice::admin {
namespace {

constexpr std::array<std::string_view, 7> kNames = {"host",   "path",   "method", "header",
                                                    "client", "cookie", "format"};

// The request that is asked about.
struct Asked {
  std::string host;
  std::string method = "GET";
  DescribedRequest request{.target = "/", .headers = {}, .cookie = {}, .client = {}};
  Format format = Format::json;

  // CONNECT has no path: it goes where `/` of its host goes.
  std::string_view path() const {
    const std::string_view target = request.target;
    return method == "CONNECT" ? "/" : target.substr(0, target.find('?'));
  }
};

Reply bad(std::string_view name, std::string_view value, std::string_view right) {
  return problem(422, "bad_parameter",
                 fmt::format("{} is {}: {}.", name, routing::in_quotes(value), right));
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || kMarks.contains(c);
  });
}

// Lower case, without port and the dot at the end, as routes are matched.
std::string routed_host(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos)
    text = text.substr(0, colon);
  std::string host(text);
  for (char& c : host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return host;
}

std::optional<Reply> take_header(Asked& asked, const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || !is_token(std::string_view(text).substr(0, colon)))
    return bad("header", text, "write NAME:VALUE, like X-Variant:blue");
  const std::size_t begin = std::min(text.find_first_not_of(" \t", colon + 1), text.size());
  asked.request.headers.emplace_back(text.substr(0, colon), text.substr(begin));
  return {};
}

std::optional<Reply> take_field(Asked& asked, const std::string& name, const std::string& value) {
  if (name == "header") return take_header(asked, value);
  if (name == "host") {
    asked.host = routed_host(value);
  } else if (name == "path") {
    asked.request.target = value;
  } else if (name == "cookie") {
    asked.request.cookie = value;
  } else if (name == "method") {
    if (!is_token(value)) return bad("method", value, "write a method like GET");
    asked.method = value;
  } else if (name == "client") {
    const auto block = AddressBlock::parse(value);
    if (!block || value.contains('/')) return bad("client", value, "write an IP address");
    asked.request.client = block->base;
  } else {
    const auto format = parse_format(value);
    if (!format) return format.error();
    asked.format = *format;
  }
  return {};
}

std::expected<Asked, Reply> read_asked(const Request& request, std::string_view query,
                                       const View& view) {
  if (!request.body.empty()) {
    return std::unexpected(
        problem(400, "unexpected_body", fmt::format("{} takes no body here.", request.method)));
  }
  const auto fields = parse_form(query, "The query");
  if (!fields) return std::unexpected(fields.error());
  Asked asked;
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : *fields) {
    if (std::ranges::find(kNames, name) == kNames.end()) {
      return std::unexpected(
          problem(400, "unknown_parameter",
                  fmt::format("The query says {}, which this call does not "
                              "know: {}",
                              routing::in_quotes(name), routing::suggestion(name, kNames))));
    }
    if (name != "header" && std::ranges::find(seen, name) != seen.end()) {
      return std::unexpected(problem(400, "repeated_parameter",
                                     fmt::format("{} is said twice: once is enough.", name)));
    }
    seen.push_back(name);
    if (auto wrong = take_field(asked, name, value)) return std::unexpected(std::move(*wrong));
  }
  auto target = view.normalize_target(asked.method, asked.request.target);
  if (!target) {
    return std::unexpected(
        problem(422, "bad_parameter",
                fmt::format("path is {}: a request for it is refused with 400: {}.",
                            routing::in_quotes(asked.request.target), target.error())));
  }
  asked.request.target = std::move(*target);
  return asked;
}

// --- Which route --------------------------------------------------------------------------------

struct RouteVerdict {
  std::size_t route = 0;
  std::string host;         // the pattern that was looked at; empty: any
  std::string path;         // its prefix
  std::string_view result;  // chosen, outranked, path, host
  std::string because;
};

std::string host_words(const std::string& host) {
  if (host.empty()) return "it is for any host";
  return fmt::format("host {} {}", host, host.starts_with("*.") ? "fits" : "is the request's");
}

std::string hosts_text(const conf::Route& route) {
  std::string text;
  for (const std::string& host : route.hosts) text += (text.empty() ? "" : ", ") + host;
  return text;
}

struct RouteVerdicts {
  std::vector<RouteVerdict> listed;
  std::optional<std::size_t> chosen;  // of the snapshot's routes
  std::size_t left_off = 0;
};

RouteVerdicts judge_routes(const Asked& asked, const routing::Snapshot& snapshot) {
  RouteVerdicts verdicts;
  const auto add = [&](RouteVerdict verdict) {
    // The chosen one is listed in any case.
    if (verdicts.listed.size() < kExplainedRoutesMax || verdict.result == "chosen") {
      verdicts.listed.push_back(std::move(verdict));
    } else {
      ++verdicts.left_off;
    }
  };
  std::vector<bool> considered(snapshot.routes.size());
  for (const auto& candidate : snapshot.table.explain(asked.host, asked.path())) {
    considered[candidate.route] = true;
    RouteVerdict verdict{.route = candidate.route, .host = candidate.host, .path = candidate.path};
    if (!candidate.fits) {
      verdict.result = "path";
      verdict.because = fmt::format("{}, but {} is not {} or below it", host_words(candidate.host),
                                    asked.path(), candidate.path);
    } else if (!verdicts.chosen) {
      verdicts.chosen = candidate.route;
      verdict.result = "chosen";
      verdict.because = fmt::format("{}, and {} is {} or below it", host_words(candidate.host),
                                    asked.path(), candidate.path);
    } else {
      verdict.result = "outranked";
      verdict.because =
          fmt::format("it fits too, but {} comes first", snapshot.routes[*verdicts.chosen].name);
    }
    add(std::move(verdict));
  }
  for (std::size_t i = 0; i < considered.size(); ++i) {
    if (considered[i]) continue;
    const conf::Route& route = snapshot.config->routes[i];
    add({i, hosts_text(route), route.path_prefix, "host",
         asked.host.empty()
             ? fmt::format("it is for {}, and the request names no host", hosts_text(route))
             : fmt::format("it is for {}, not for {}", hosts_text(route), asked.host)});
  }
  return verdicts;
}

// --- Which backend, which servers ---------------------------------------------------------------

// Why a server gets new requests, or none.
std::string because(const ServerView& server) {
  if (server.draining) {
    return fmt::format("it is drained since revision {}", server.drain_revision);
  }
  if (server.weight.is_zero()) return "its weight is 0";
  if (!server.probed) return "its backend has no health check";
  switch (server.status) {
    case health::Status::up:
      return "it is up";
    case health::Status::down:
      return "it is down: " + server.last_error;
    case health::Status::unknown:
      return "it has not been probed yet";
  }
  return "";
}

struct BackendVerdict {
  const conf::WeightedBackend* share = nullptr;
  double fraction = 0;  // of the route's requests
  std::vector<const ServerView*> servers;
  std::size_t taking_work = 0;
};

// What becomes of a request of this route.
struct Fate {
  std::vector<BackendVerdict> backends;  // of the route's split
  std::string backend;
  std::string because;
  int status = 0;      // that is answered without a server; 0: none
  std::string answer;  // why
};

// By which right it gets the backend that it would get if that could serve it.
std::string own_right(const DescribedWish& asked, const routing::Choice& own,
                      const routing::SnapshotRoute& route) {
  if (own.by == routing::ChosenBy::forced) return "the request names it, and its client may";
  if (own.by == routing::ChosenBy::sticky) {
    return fmt::format("the request is bound by {}, and its key is in this backend's part",
                       conf::to_string(*asked.bound_by));
  }
  return fmt::format(
      "{}of the route's {} backend{} it has weight {}, and the next ticket ({}) is "
      "its own",
      asked.cookie_refused ? "the request's cookie is not good; " : "", route.split.size(),
      route.split.size() == 1 ? "" : "s", route.split[own.share].weight.to_string(),
      route.runtime->tickets_taken());
}

std::string why_backend(const DescribedWish& asked, const routing::Forecast& told,
                        const routing::SnapshotRoute& route) {
  std::string own = own_right(asked, told.own, route);
  if (told.choice.by == told.own.by) return own;
  const conf::WeightedBackend& share = route.split[told.own.share];
  const std::string_view stranded =
      share.state == conf::ShareState::off ? "is off" : "has no server that takes new work";
  return fmt::format(
      "{} {}, and this one {}; of {}: {}", share.backend, stranded,
      told.choice.by == routing::ChosenBy::fallback ? "is the fallback" : "stands in for it",
      share.backend, own);
}

std::vector<BackendVerdict> judge_shares(const View& view, const routing::SnapshotRoute& route) {
  std::vector<BackendVerdict> verdicts;
  double total = 0;
  for (const conf::WeightedBackend& share : route.split) total += share.weight.to_double();
  for (const conf::WeightedBackend& share : route.split) {
    BackendVerdict& verdict = verdicts.emplace_back();
    verdict.share = &share;
    verdict.fraction = total > 0 ? share.weight.to_double() / total : 0;
    for (const ServerView& server : view.servers) {
      if (server.key.backend != share.backend) continue;
      verdict.servers.push_back(&server);
      if (takes_new_work(server)) ++verdict.taking_work;
    }
  }
  return verdicts;
}

Fate foretell(const Asked& asked, const View& view, std::size_t index) {
  const routing::SnapshotRoute& route = view.snapshot->routes[index];
  const DescribedWish wish = view.read_wish(index, asked.request);
  const routing::Forecast told = routing::forecast(*view.snapshot, index, wish.wish);
  Fate fate{.backends = judge_shares(view, route),
            .backend = view.snapshot->backends[told.choice.backend].name,
            .because = why_backend(wish, told, route),
            .answer = {}};
  const auto answers = [&](int status, std::string why) {
    fate.status = status;
    fate.answer = std::move(why);
  };
  if (route.maintenance) {
    answers(503, fmt::format("the route is in maintenance: Retry-After: {}",
                             route.maintenance->retry_after.count()));
  } else if (asked.method == "CONNECT" && !view.snapshot->config->routes[index].allow_connect) {
    answers(405, "the route does not allow CONNECT");
  } else if (!wish.refusal.empty()) {
    answers(400, wish.refusal);
  } else if (!told.served) {
    answers(503, fmt::format("no server of backend {} takes new work", fate.backend));
  }
  return fate;
}

// --- In JSON, in text ---------------------------------------------------------------------------

constexpr int kShareDigits = 6;

void write_request(JsonWriter& json, const Asked& asked) {
  json.key("request").begin_object();
  json.key("method").value(asked.method);
  json.key("host").value(asked.host);
  json.key("path").value(asked.request.target);
  if (asked.request.client) json.key("client").value(asked.request.client->ip_to_string());
  if (!asked.request.cookie.empty()) json.key("cookie").value(asked.request.cookie);
  if (!asked.request.headers.empty()) {
    json.key("headers").begin_array();
    for (const auto& [name, value] : asked.request.headers)
      json.value(fmt::format("{}: {}", name, value));
    json.end_array();
  }
  json.end_object();
}

void write_routes(JsonWriter& json, const RouteVerdicts& verdicts,
                  const routing::Snapshot& snapshot) {
  json.key("routes").begin_array();
  for (const RouteVerdict& verdict : verdicts.listed) {
    json.begin_object();
    json.key("route").value(snapshot.routes[verdict.route].name);
    json.key("host").value(verdict.host.empty() ? "any" : verdict.host);
    json.key("path").value(verdict.path);
    json.key("result").value(verdict.result);
    json.key("because").value(verdict.because);
    json.end_object();
  }
  json.end_array();
  if (verdicts.left_off > 0) json.key("routes_left_off").value(verdicts.left_off);
}

void write_backend(JsonWriter& json, const BackendVerdict& backend) {
  json.begin_object();
  json.key("backend").value(backend.share->backend);
  json.key("weight").value(backend.share->weight);
  json.key("state").value(routing::to_string(backend.share->state));
  json.key("share").value(backend.fraction, kShareDigits);
  json.key("servers_taking_work").value(backend.taking_work);
  json.key("servers").begin_array();
  for (const ServerView* server : backend.servers) {
    json.begin_object();
    json.key("server").value(server->key.server);
    json.key("address").value(server->address.to_string());
    json.key("takes_new_work").value(takes_new_work(*server));
    json.key("because").value(because(*server));
    json.key("running").value(server->running);
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

void write_fate(JsonWriter& json, const Fate& fate) {
  json.key("backend").value(fate.backend);
  json.key("backend_because").value(fate.because);
  if (fate.status != 0) {
    json.key("answer").begin_object();
    json.key("status").value(fate.status);
    json.key("because").value(fate.answer);
    json.end_object();
  }
  json.key("backends").begin_array();
  for (const BackendVerdict& backend : fate.backends) write_backend(json, backend);
  json.end_array();
}

std::string chosen_because(const RouteVerdicts& verdicts) {
  const auto chosen = std::ranges::find(verdicts.listed, "chosen", &RouteVerdict::result);
  return chosen == verdicts.listed.end() ? "" : chosen->because;
}

Reply in_json(const Asked& asked, const View& view, const RouteVerdicts& verdicts,
              const std::optional<Fate>& fate) {
  JsonWriter json;
  json.begin_object();
  write_request(json, asked);
  json.key("epoch").value(view.snapshot->epoch);
  if (verdicts.chosen) {
    const routing::SnapshotRoute& route = view.snapshot->routes[*verdicts.chosen];
    json.key("route").value(route.name);
    json.key("route_because").value(chosen_because(verdicts));
    json.key("revision").value(route.revision);
  } else {
    json.key("route").null();
    json.key("answer").begin_object();
    json.key("status").value(404);
    json.key("because").value("no route fits");
    json.end_object();
  }
  if (fate) write_fate(json, *fate);
  write_routes(json, verdicts, *view.snapshot);
  json.end_object();
  return json_reply(json);
}

Reply in_text(const View& view, const RouteVerdicts& verdicts, const std::optional<Fate>& fate) {
  Table routes({"ROUTE", "HOST", "PATH", "RESULT", "BECAUSE"});
  for (const RouteVerdict& verdict : verdicts.listed) {
    routes.add({view.snapshot->routes[verdict.route].name,
                verdict.host.empty() ? "any" : verdict.host, verdict.path,
                std::string(verdict.result), verdict.because});
  }
  std::string text = routes.finish();
  if (!fate) return text_reply(text + "\nNo route fits: 404.\n");
  Table servers({"BACKEND", "WEIGHT", "STATE", "SERVER", "ADDRESS", "TAKES NEW WORK", "BECAUSE"});
  for (const BackendVerdict& backend : fate->backends) {
    for (const ServerView* server : backend.servers) {
      servers.add({backend.share->backend, backend.share->weight.to_string(),
                   std::string(routing::to_string(backend.share->state)), server->key.server,
                   server->address.to_string(), takes_new_work(*server) ? "yes" : "no",
                   because(*server)});
    }
  }
  text += '\n' + servers.finish();
  text += fmt::format("\nBackend {}: {}.\n", fate->backend, fate->because);
  if (fate->status != 0) text += fmt::format("Answer {}: {}.\n", fate->status, fate->answer);
  return text_reply(std::move(text));
}

}  // namespace

Reply explain(const Request& request, std::string_view query, const View& view) {
  SLUICE_CHECK(view.snapshot != nullptr && view.normalize_target && view.read_wish);
  const auto asked = read_asked(request, query, view);
  if (!asked) return asked.error();
  const RouteVerdicts verdicts = judge_routes(*asked, *view.snapshot);
  std::optional<Fate> fate;
  if (verdicts.chosen) fate = foretell(*asked, view, *verdicts.chosen);
  return asked->format == Format::text ? in_text(view, verdicts, fate)
                                       : in_json(*asked, view, verdicts, fate);
}

}  // namespace sluice::admin
