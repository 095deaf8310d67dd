#include "tests/admin/node.h"

#include <algorithm>

#include "admin/plan.h"
#include "proxy/base/check.h"

namespace sluice::admin::testing {
namespace {

conf::Server make_server(std::string name, std::string_view address) {
  return {std::move(name), *Address::parse(address)};
}

conf::WeightedBackend share(std::string backend, std::string_view weight) {
  return {std::move(backend), *Decimal::parse(weight)};
}

}  // namespace

Node::Node() {
  config.file = "/etc/sluice/sluice.toml";
  config.backends = {
      {"blue",
       {make_server("web-1", "127.0.0.1:9001"), make_server("web-2", "127.0.0.1:9002")},
       conf::HealthCheck{}},
      {"green",
       {make_server("web-1", "127.0.0.1:9101"), make_server("sock", "unix:/run/green.sock")},
       std::nullopt},
  };
  config.routes = {
      {"app", {"app.example"}, "/", {share("blue", "90"), share("green", "10")}},
      {"api.v2", {}, "/api", {share("blue", "1"), share("green", "0")}},
  };
  config.admin.hosts = {"Admin.internal"};
  config.admin.uids = {1000};
  take_config_over();
  process = {.version = "0.1.0", .pid = 4242, .uid = 998, .started = now, .workers = 4};
  for (const conf::Backend& backend : config.backends) {
    for (const conf::Server& listed : backend.servers) {
      servers.push_back({.key = {backend.name, listed.name},
                         .address = listed.address,
                         .probed = backend.health.has_value(),
                         .status = health::Status::up,
                         .since = now});
    }
  }
}

void Node::take_config_over() {
  const auto plan = state.plan_reload(config, now);
  SLUICE_CHECK(plan.revision.has_value());
  state.apply(*plan.revision);
  history.add(*plan.revision);
}

const routing::Snapshot& Node::snapshot() const {
  snapshot_ = registry_.build(std::make_shared<const conf::Config>(config), state, 7,
                              /*assume_up=*/true);
  return *snapshot_;
}

View Node::view() const {
  View view{.config = config,
            .state = state,
            .history = history,
            .access = access,
            .now = now,
            .epoch = 7};
  if (adoptions) {
    view.adoptions = *adoptions;
  } else {
    Adoption all{.epoch = 7, .revision = state.revision(), .workers = {0, 1, 2, 3}};
    for (const auto& [name, route] : state.routes()) all.weights[name] = route.setting.split;
    view.adoptions.push_back(std::move(all));
  }
  view.servers = servers;
  for (ServerView& server : view.servers) {
    server.draining = state.is_draining(server.key);
    server.revision = state.server_revision(server.key);
    server.drain_revision = state.drain_revision(server.key);
    server.safe_to_stop = server.draining && server.running == 0;
  }
  view.observed = observed;
  view.webhooks = webhooks;
  view.events = &events;
  view.snapshot = &snapshot();
  view.normalize_target = [](std::string_view,
                             std::string_view target) -> std::expected<std::string, std::string> {
    if (!target.starts_with('/')) return std::unexpected("a path begins with /");
    return std::string(target);
  };
  view.read_wish = [this](std::size_t, const DescribedRequest& request) {
    return read_wish ? read_wish(request) : DescribedWish{};
  };
  view.process = process;
  view.alive = {true, "alive"};
  view.ready = {true, "ready: every server has been probed"};
  view.ledger_text = [] { return std::string("sluice-ledger 1\n"); };
  view.collect_metrics = [] { return MetricsInput{}; };
  return view;
}

ServerView& Node::server(std::string_view backend, std::string_view name) {
  const auto found = std::ranges::find_if(servers, [&](const ServerView& server) {
    return server.key.backend == backend && server.key.server == name;
  });
  SLUICE_CHECK(found != servers.end());
  return *found;
}

Reply Node::call(Request request) {
  request.identity = identify(request, view());
  auto answer = handle(request, view());
  if (auto* reply = std::get_if<Reply>(&answer)) return std::move(*reply);
  const Command& command = std::get<Command>(answer);
  const auto planned = plan(command, state, facts(), now);
  if (!planned) return render_plan_error(view(), command, planned.error());
  if (command.dry_run) return render_dry_run(view(), command, *planned);
  const bool changed = !state.changes_nothing(*planned);
  if (!changed && !command.key) return render_noop(view(), command);
  const routing::Revision made = changed ? *planned : state.remembering(*planned);
  state.apply(made);
  history.add(made);
  return render_done(view(), command, made);
}

Reply Node::call(std::string_view method, std::string_view target, std::string_view body) {
  return call(make_request(method, target, body));
}

Reply Node::call_json(std::string_view method, std::string_view target, std::string_view body) {
  return call(make_request(method, target, body, "application/json"));
}

std::string Node::weights(std::string_view route) const {
  std::string text;
  for (const conf::WeightedBackend& part : state.route(route)->setting.split)
    text += (text.empty() ? "" : " ") + part.backend + "=" + part.weight.to_string();
  return text;
}

Request make_request(std::string_view method, std::string_view target, std::string_view body,
                     std::optional<std::string> content_type) {
  Request request;
  request.method = method;
  request.target = target;
  request.host = "localhost";
  request.caller = {.transport = Caller::Transport::unix_socket, .uid = 0, .address = "unix"};
  request.identity = {.by = Identity::By::uid,
                      .name = "uid:0",
                      .grant = {.role = conf::Role::admin},
                      .failure = AuthFailure::none};
  request.body = body;
  if (!body.empty()) request.content_type = std::move(content_type);
  return request;
}

}  // namespace sluice::admin::testing
