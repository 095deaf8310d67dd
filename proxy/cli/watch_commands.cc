// The commands that watch, ask why, and have the file read again.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <thread>

#include "proxy/cli/commands.h"
#include "proxy/cli/event_stream.h"
#include "proxy/cli/show.h"
#include "proxy/cli/words.h"

namespace sluice::cli {
namespace {

// Between attempts to get back to a stream that broke.
constexpr Duration kRetryMin = std::chrono::milliseconds(200);
constexpr Duration kRetryMax = std::chrono::seconds(10);

void add_reload(CommandLine& line) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App& command =
      line.add("reload", "Have the configuration file read again, and wait for the verdict");
  line.on_client(command, *options, [options] {
    auto client = AdminClient::make(*options);
    if (!client) return fail(*options, client.error());
    return report(*options, (*client)->call({.method = "POST", .target = "/v1/reload"}),
                  describe_change);
  });
}

struct Explain {
  ClientOptions client;
  std::string url;
  std::string host;
  std::string path;
  std::string method;
  std::vector<std::string> headers;
  std::string client_address;
  std::string cookie;
};

// `http://app.example/cart` or `/cart`: what a request for it says.
void take_url(Explain& options) {
  std::string_view rest = options.url;
  if (const std::size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    rest.remove_prefix(scheme + 3);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    if (options.host.empty()) options.host = rest.substr(0, slash);
    rest.remove_prefix(slash);
    if (rest.empty()) rest = "/";
  }
  if (options.path.empty()) options.path = rest;
}

void add_explain(CommandLine& line) {
  auto options = std::make_shared<Explain>();
  CLI::App& command =
      line.add("explain", "Say which route and backend a request would get, and why");
  command.add_option("URL", options->url, "http://HOST/PATH, or /PATH");
  command.add_option("--host", options->host, "Its Host")->type_name("HOST");
  command.add_option("--path", options->path, "Its path and query")->type_name("PATH");
  command.add_option("--method", options->method, "Its method (default: GET)")->type_name("METHOD");
  command.add_option("--header", options->headers, "A field of it, 'Name: value'; repeatable")
      ->type_name("FIELD")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--client", options->client_address, "Whom it comes from")->type_name("IP");
  command.add_option("--cookie", options->cookie, "Its cookies, 'a=b; c=d'")->type_name("COOKIE");
  line.on_client(command, options->client, [options] {
    take_url(*options);
    Query query;
    const auto add = [&](std::string_view name, const std::string& value) {
      if (!value.empty()) query.add(name, value);
    };
    add("host", options->host);
    add("path", options->path);
    add("method", options->method);
    for (const std::string& header : options->headers) query.add("header", header);
    add("client", options->client_address);
    add("cookie", options->cookie);
    return show(options->client, "/v1/explain", query);
  });
}

struct Events {
  ClientOptions client;
  std::vector<std::string> types;
  std::string since;
  bool follow = false;
  std::uint64_t count = 0;  // 0: no end
};

void print_event(const Events& options, const Event& event) {
  const Json data = Json::parse(event.data, nullptr, /*allow_exceptions=*/false);
  if (options.client.json) {
    // One line each, whatever lines it came in.
    fmt::print("{}\n", data.is_discarded() ? printable(event.data) : data.dump());
  } else {
    std::string text;
    std::string time = "-";
    if (data.is_object()) {
      for (const auto& [name, value] : data.items()) {
        if (name == "time") time = cell_text(value);
        if (name == "id" || name == "type" || name == "event" || name == "time") continue;
        text += (text.empty() ? "" : " ") + printable(name) + '=' + cell_text(value);
      }
    } else {
      text = printable(event.data);
    }
    fmt::print("{}  {}  {}  {}\n", printable(event.id), time, printable(event.type), text);
  }
  // Whoever reads a pipe wants it now.
  std::fflush(stdout);
}

// One connection's worth of events: nothing where the sink had enough or got all that there was to
// get, else why it ended.
std::optional<Failure> read_events(AdminClient& client, const Events& options,
                                   EventStream& stream) {
  Query query;
  std::string types;
  for (const std::string& type : options.types) types += (types.empty() ? "" : ",") + type;
  if (!types.empty()) query.add("types", types);
  if (!options.follow) query.add("follow", "false");
  Call call{.target = "/v1/events"};
  if (stream.last_id().empty()) {
    if (!options.since.empty()) query.add("since", options.since);
  } else {
    call.fields.append("Last-Event-ID", printable(stream.last_id()));
  }
  call.target += query.text();
  call.fields.append("Accept", "text/event-stream");
  stream.restart();
  auto whole =
      client.stream(std::move(call), options.follow,
                    {.on_head = [](const http::ResponseHead&) { return true; },
                     .on_body = [&](std::string_view piece) { return stream.feed(piece); }});
  if (!whole) return std::move(whole.error());
  if (stream.failed())
    return Failure{ExitStatus::failed,
                   fmt::format("an event is longer than {} bytes", kEventBytesMax)};
  if (*whole && !options.follow) return {};
  if (*whole) return Failure{ExitStatus::unreachable, "the stream of events ended"};
  return {};
}

int follow_events(const Events& options) {
  auto client = AdminClient::make(options.client);
  if (!client) return fail(options.client, client.error());
  std::uint64_t seen = 0;
  Duration pause = kRetryMin;
  EventStream stream([&](const Event& event) {
    print_event(options, event);
    pause = kRetryMin;
    ++seen;
    return options.count == 0 || seen < options.count;
  });
  for (bool first = true;; first = false) {
    const std::optional<Failure> failure = read_events(**client, options, stream);
    if (!failure) return code_of(ExitStatus::done);
    const bool broke = failure->status == ExitStatus::unreachable ||
                       failure->status == ExitStatus::timed_out ||
                       (failure->status == ExitStatus::failed && !stream.failed());
    // Nobody there to begin with is an answer; somebody who was there comes back.
    if (!options.follow || !broke || (first && seen == 0 && stream.last_id().empty()))
      return fail(options.client, *failure);
    fmt::print(stderr, "sluice: {}; calling again\n", failure->text);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kRetryMax);
  }
}

void add_events(CommandLine& line) {
  auto options = std::make_shared<Events>();
  CLI::App& command = line.add("events", "Show what happens: shifts, health, reloads, drains");
  command.add_flag("-f,--follow", options->follow,
                   "Go on, and resume where it broke off when the connection is lost");
  command
      .add_option("--type", options->types,
                  "Only events of this type; repeatable, or several with commas")
      ->type_name("shift|health|reload|drain|lease|alarm")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--since", options->since, "Begin behind this event")->type_name("ID");
  command.add_option("--count", options->count, "End after so many")->type_name("N");
  line.on_client(command, options->client, [options] { return follow_events(*options); });
}

}  // namespace

void add_watch_commands(CommandLine& line) {
  add_reload(line);
  add_explain(line);
  add_events(line);
}

}  // namespace sluice::cli
