#include "proxy/cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "proxy/cli/commands.h"

namespace sluice::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

class Completion : public testing::Test {
 protected:
  Completion() { add_all_commands(line_); }

  std::vector<std::string> of(const std::vector<std::string>& words) {
    std::vector<std::string> texts;
    for (const Candidate& each : complete(line_.root(), words, [&](const ClientOptions& options) {
           asked_ = options;
           ++times_asked_;
           return names_;
         })) {
      texts.push_back(each.text);
    }
    return texts;
  }

  CommandLine line_;
  Names names_{.routes = {{"app", {"blue", "green"}}, {"api", {"stable", "canary"}}},
               .backends = {{"blue", {"web-1", "web-2"}}, {"green", {"web-3"}}}};
  ClientOptions asked_;
  int times_asked_ = 0;
};

TEST_F(Completion, NamesEveryCommand) {
  EXPECT_THAT(of({""}), IsSupersetOf({"run", "status", "weights", "shift", "rollback", "events",
                                      "completion", "servers"}));
  EXPECT_THAT(of({"sta"}), UnorderedElementsAre("status", "states"));
  EXPECT_THAT(of({"nonsense", ""}), IsEmpty());
  EXPECT_THAT(of({}), Not(IsEmpty()));
  EXPECT_EQ(times_asked_, 0) << "nobody is asked for what the tree itself says";
}

TEST_F(Completion, NamesTheOptionsOfTheCommandAndOfAll) {
  EXPECT_THAT(of({"shift", "app", "--"}),
              IsSupersetOf({"--dry-run", "--ttl", "--admin", "--json", "--config"}));
  EXPECT_THAT(of({"weights", "--t"}), UnorderedElementsAre("--token-file", "--timeout"));
  EXPECT_THAT(of({"weights", "--"}), Not(Contains("--ttl")));
  EXPECT_THAT(of({"weights", "--", "--"}), IsEmpty()) << "behind -- nothing is an option";
}

TEST_F(Completion, NamesRoutesBackendsAndServers) {
  EXPECT_THAT(of({"weights", ""}), ElementsAre("app", "api"));
  EXPECT_THAT(of({"weights", "app", ""}), IsEmpty());
  EXPECT_THAT(of({"shift", "ap"}), ElementsAre("app", "api"));
  EXPECT_THAT(of({"shift", "app", ""}), ElementsAre("blue=", "green="));
  EXPECT_THAT(of({"shift", "app", "blue=90", ""}), ElementsAre("green="));
  EXPECT_THAT(of({"switch", "api", ""}), ElementsAre("stable", "canary"));
  EXPECT_THAT(of({"drain", ""}),
              ElementsAre("blue", "blue/web-1", "blue/web-2", "green", "green/web-3"));
  EXPECT_THAT(of({"drain", "blue/"}), ElementsAre("blue/web-1", "blue/web-2"));
  EXPECT_THAT(of({"servers", ""}), IsSupersetOf({"add", "remove", "blue", "green"}));
  EXPECT_THAT(of({"states", "app", "blue="}),
              ElementsAre("blue=active", "blue=sticky_only", "blue=off"));
  EXPECT_THAT(of({"maintenance", "on", ""}), ElementsAre("app", "api"));
}

TEST_F(Completion, KnowsWhatAnOptionTakes) {
  EXPECT_THAT(of({"shift", "--on-lapse", ""}), ElementsAre("revert", "freeze"));
  EXPECT_THAT(of({"shift", "--on-lapse=f"}), ElementsAre("--on-lapse=freeze"));
  EXPECT_THAT(of({"weights", "--token-file", ""}), ElementsAre(kCompleteFiles));
  EXPECT_THAT(of({"-c", ""}), ElementsAre(kCompleteFiles));
  EXPECT_THAT(of({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(of({"shift", "--reason", "app", "--wait", "ap"}), ElementsAre("app", "api"))
      << "a value is no route, and --wait takes no word";
}

TEST_F(Completion, AsksWhereTheLineSays) {
  of({"weights", "--admin", "http://127.0.0.1:1", ""});
  EXPECT_EQ(asked_.admin, "http://127.0.0.1:1");
  EXPECT_FALSE(asked_.config_said);
  of({"-c", "mine.toml", "weights", "--token-file=t", ""});
  EXPECT_EQ(asked_.config_path, "mine.toml");
  EXPECT_TRUE(asked_.config_said);
  EXPECT_EQ(asked_.token_file, "t");
}

TEST_F(Completion, TheTreeIsWhole) {
  // Each command has a description, and what it takes is told apart: no two positionals of one
  // name.
  for (const CLI::App* each : commands_below(line_.root())) {
    EXPECT_NE(each->get_description(), "") << each->get_name();
    EXPECT_EQ(find_command(line_.root(), each->get_name()), each);
  }
  for (const char* shell : {"bash", "zsh", "fish"}) EXPECT_NE(completion_script(shell), "");
  EXPECT_EQ(completion_script("csh"), "");
}

}  // namespace
}  // namespace sluice::cli
