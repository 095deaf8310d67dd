// `sluice status`: what somebody wants to know who was just woken up.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "proxy/cli/commands.h"
#include "proxy/cli/show.h"
#include "proxy/cli/status.h"

namespace sluice::cli {
namespace {

// Of the calls that make up a status, what an older Sluice doesn't know is left out.
std::expected<Json, Failure> ask(AdminClient& client, const std::string& path, bool must) {
  auto answer = client.get(path);
  if (answer) {
    Json json = Json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) return json;
    return std::unexpected(Failure{ExitStatus::unreachable,
                                   fmt::format("the answer to GET {} is no JSON object", path)});
  }
  if (must || answer.error().status == ExitStatus::unreachable ||
      answer.error().status == ExitStatus::timed_out)
    return std::unexpected(std::move(answer.error()));
  return Json::object();
}

std::expected<StatusAnswers, Failure> ask_all(AdminClient& client) {
  StatusAnswers all;
  const struct {
    Json StatusAnswers::*into;
    const char* path;
    bool must;
  } calls[] = {{&StatusAnswers::index, "/v1/", true},
               {&StatusAnswers::weights, "/v1/weights", true},
               {&StatusAnswers::backends, "/v1/backends", true},
               {&StatusAnswers::leases, "/v1/leases", false},
               {&StatusAnswers::history, "/v1/history?limit=5", false},
               {&StatusAnswers::conflicts, "/v1/conflicts", false},
               {&StatusAnswers::webhooks, "/v1/webhooks", false}};
  for (const auto& call : calls) {
    auto json = ask(client, call.path, call.must);
    if (!json) return std::unexpected(std::move(json.error()));
    all.*call.into = std::move(*json);
  }
  return all;
}

}  // namespace

void add_status_command(CommandLine& line) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App& command =
      line.add("status", "Say how Sluice is: exit status 0 if it is well, 1 if something is wrong");
  line.on_client(command, *options, [options] {
    auto client = AdminClient::make(*options);
    if (!client) return fail(*options, client.error());
    const auto answers = ask_all(**client);
    if (!answers) return fail(*options, answers.error());
    const Status status = judge_status(*answers);
    fmt::print("{}", options->json
                         ? status_json(*answers, status)
                         : status_text(*answers, status, std::chrono::system_clock::now()));
    return code_of(status.wrong.empty() ? ExitStatus::done : ExitStatus::refused);
  });
}

}  // namespace sluice::cli
