// Servers at run time: those that come, go, and change their weight, what the guard keeps of them,
// and what a reload does to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/routing/book_fixture.h"

namespace sluice::routing {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = PlanError::Kind;

class ServersTest : public BookTest {
 protected:
  void weigh(const char* server, const char* weight) {
    add(book.state.plan_weigh(live(), {"blue", server}, weight, {}, kNow));
  }
  // The file gives blue's first server this weight from now on; what the reload reports.
  std::vector<std::string> reload_with(const char* weight) {
    config.backends[0].servers[0].weight = *Decimal::parse(weight);
    const State::ReloadPlan plan = book.state.plan_reload(config, kNow);
    if (plan.revision) {
      EXPECT_EQ(plan.revision->conflicts, plan.conflicts);
      add(plan.revision);
    }
    EXPECT_FALSE(book.state.plan_reload(config, kNow).revision) << "it is taken over";
    return plan.conflicts;
  }
  std::string weight() { return live().backends[0].servers[0].weight.to_string(); }
  RevisionNumber revision() { return book.state.server_revision({"blue", "b1"}); }
};

// --- Servers that come and go -------------------------------------------------------------------

std::vector<std::string> names(const conf::Config& config, std::size_t backend) {
  std::vector<std::string> all;
  for (const conf::Server& server : config.backends[backend].servers) all.push_back(server.name);
  return all;
}

TEST_F(ServersTest, ServersComeAndGoAndWeigh) {
  add(book.state.plan_add(live(), {"blue", "127.0.0.1:9999", "b3", "2"}, {}, kNow));
  EXPECT_THAT(names(live(), 0), ElementsAre("b1", "b2", "b3"));
  EXPECT_EQ(live().backends[0].servers[2].weight, (Decimal{2, 0}));
  add(book.state.plan_weigh(live(), {"blue", "b1"}, "0.5", {}, kNow));
  EXPECT_EQ(live().backends[0].servers[0].weight, *Decimal::parse("0.5"));
  add(book.state.plan_remove(facts(), {"blue", "b2"}, false, {}, kNow));
  add(book.state.plan_remove(facts(), {"blue", "b3"}, false, {}, kNow));
  EXPECT_THAT(names(live(), 0), ElementsAre("b1"));
  const auto last = book.state.plan_remove(facts(), {"blue", "b1"}, true, {}, kNow);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().kind, Kind::last_server);
  // One of the file that was removed can come back, elsewhere too.
  add(book.state.plan_add(live(), {"blue", "127.0.0.1:7777", "b2", ""}, {}, kNow));
  EXPECT_THAT(names(live(), 0), ElementsAre("b1", "b2"));
}

TEST_F(ServersTest, ABackendKeepsAServerWithAWeight) {
  const auto weigh = [&](const char* server, const char* weight) {
    return book.state.plan_weigh(live(), {"blue", server}, weight, {}, kNow);
  };
  const auto servers = live().backends[0].servers;
  ASSERT_EQ(live().backends[0].name, "blue");
  for (std::size_t i = 0; i + 1 < servers.size(); ++i) add(weigh(servers[i].name.c_str(), "0"));
  const std::string last = live().backends[0].servers.back().name;
  EXPECT_EQ(weigh(last.c_str(), "0").error().kind, Kind::last_server);
  EXPECT_TRUE(weigh(last.c_str(), "0.5"));
}

TEST_F(ServersTest, AServersRevisionIsThatOfItsDrainOrItsWeight) {
  const ServerKey server{"blue", live().backends[0].servers[0].name};
  EXPECT_EQ(book.state.server_revision(server), 0u);
  add(book.state.plan_weigh(live(), server, "3", {}, kNow));
  EXPECT_EQ(book.state.server_revision(server), 2u);
  add(book.state.plan_drain(live(), server, true, {}, kNow));
  EXPECT_EQ(book.state.server_revision(server), 3u);
}

TEST_F(ServersTest, AServerThatCanNotBeSaysWhy) {
  const struct {
    NewServer server;
    Kind kind;
    const char* says;
  } cases[] = {
      {{"blu", "127.0.0.1:1", "x", ""}, Kind::unknown_backend, "did you mean \"blue\"?"},
      {{"blue", "localhost", "x", ""}, Kind::bad_server, "IP:PORT"},
      {{"blue", "127.0.0.1:0", "x", ""}, Kind::bad_server, "IP:PORT"},
      {{"blue", "127.0.0.1:1", "X y", ""}, Kind::bad_server, "1 to 64 of"},
      {{"blue", "127.0.0.1:1", "x", "-1"}, Kind::bad_server, "not a plain number"},
      {{"blue", "127.0.0.1:1", "b1", ""}, Kind::server_exists, "name or address"},
      {{"blue", "127.0.0.1:8000", "x", ""}, Kind::server_exists, "name or address"},
  };
  for (const auto& c : cases) {
    const auto planned = book.state.plan_add(live(), c.server, {}, kNow);
    ASSERT_FALSE(planned) << c.says;
    EXPECT_EQ(planned.error().kind, c.kind) << planned.error().message;
    EXPECT_THAT(planned.error().message, HasSubstr(c.says));
  }
}

TEST_F(ServersTest, OnlyADrainedServerIsRemovedUnlessForced) {
  Facts facts = this->facts();
  facts.is_safe_to_stop = [](const ServerKey&) { return false; };
  EXPECT_EQ(book.state.plan_remove(facts, {"blue", "b1"}, false, {}, kNow).error().kind,
            Kind::not_drained);
  add(book.state.plan_drain(live(), {"blue", "b1"}, true, {}, kNow));
  const auto forced = book.state.plan_remove(facts, {"blue", "b1"}, true, {}, kNow);
  add(forced);
  EXPECT_FALSE(book.state.is_draining({"blue", "b1"})) << "should it come back, it works";
}

TEST_F(ServersTest, AReloadKeepsWhatCameAtRunTimeUntilTheFileSaysOtherwise) {
  add(book.state.plan_add(live(), {"blue", "127.0.0.1:9999", "b3", ""}, {}, kNow));
  add(book.state.plan_remove(facts(), {"blue", "b1"}, false, {}, kNow));
  EXPECT_FALSE(book.state.plan_reload(config, kNow).revision) << "nothing to say";
  config.backends[0].servers.push_back({"b3", *Address::parse("127.0.0.1:9998")});
  auto plan = book.state.plan_reload(config, kNow);
  ASSERT_EQ(plan.conflicts.size(), 1u);
  EXPECT_THAT(plan.conflicts[0], HasSubstr("127.0.0.1:9998"));
  EXPECT_EQ(plan.revision->conflicts, plan.conflicts);
  add(plan.revision);
  EXPECT_THAT(names(live(), 0), ElementsAre("b2", "b3"));
  EXPECT_EQ(live().backends[0].servers[1].address.to_string(), "127.0.0.1:9998");
  // The removed one has left the file: nothing is left to say of it.
  config.backends[0].servers.erase(config.backends[0].servers.begin());
  add(book.state.plan_reload(config, kNow).revision);
  EXPECT_TRUE(book.state.image().members.empty());
}

// --- The guard of servers -----------------------------------------------------------------------

class ServerGuardTest : public ServersTest {
 protected:
  // What the guard says of a drain, a weight or a removal; nullopt: nothing.
  std::optional<PlanError> guard(const std::expected<Revision, PlanError>& planned) {
    EXPECT_TRUE(planned) << planned.error().message;
    Facts facts = this->facts();
    facts.takes_requests = [this](const ServerKey& server) {
      return !book.state.is_draining(server) && !down.contains(server);
    };
    return book.state.unserved(*planned, facts);
  }
  std::optional<PlanError> drain(const char* server, bool draining = true) {
    return guard(book.state.plan_drain(live(), {"blue", server}, draining, {}, kNow));
  }
  std::set<ServerKey> down;
};

TEST_F(ServerGuardTest, TheLastServerOfABackendWithTrafficIsNotDrained) {
  EXPECT_FALSE(drain("b1"));
  add(book.state.plan_drain(live(), {"blue", "b2"}, true, {}, kNow));
  const auto refused = drain("b1");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Kind::no_healthy_server);
  EXPECT_THAT(refused->message, HasSubstr("backend \"blue\" would be left without a server that "
                                          "takes requests, and route \"app\" sends to it"));
  EXPECT_FALSE(drain("b2")) << "it is drained already";
  EXPECT_FALSE(drain("b1", false));
}

TEST_F(ServerGuardTest, NorTheLastThatIsHealthy) {
  down = {{"blue", "b2"}};
  EXPECT_TRUE(drain("b1"));
  EXPECT_TRUE(guard(book.state.plan_weigh(live(), {"blue", "b1"}, "0", {}, kNow)));
  EXPECT_TRUE(guard(book.state.plan_remove(facts(), {"blue", "b1"}, true, {}, kNow)));
  EXPECT_FALSE(guard(book.state.plan_weigh(live(), {"blue", "b1"}, "0.5", {}, kNow)));
  EXPECT_FALSE(drain("b2")) << "nothing is taken away";
  EXPECT_FALSE(guard(book.state.plan_remove(facts(), {"blue", "b2"}, true, {}, kNow)));
  down = {{"blue", "b1"}, {"blue", "b2"}};
  EXPECT_FALSE(drain("b1")) << "there is nothing left to take away";
}

TEST_F(ServerGuardTest, NorAWholeBackend) {
  const auto all = [&] { return guard(book.state.plan_drain_all(live(), "blue", true, {}, kNow)); };
  EXPECT_TRUE(all());
  EXPECT_FALSE(guard(book.state.plan_drain_all(live(), "blue", false, {}, kNow)));
  shift("0", "100");
  EXPECT_FALSE(all()) << "no route sends to it";
}

TEST_F(ServerGuardTest, ABackendThatGetsNothingMayBeDrained) {
  const auto state = [&](const char* word) {
    StatedSplit stated{.weights = {}, .whole = false, .states = {{"blue", word}}};
    add(plan({"app", std::move(stated)}));
  };
  down = {{"blue", "b2"}};
  state("sticky_only");
  EXPECT_TRUE(drain("b1")) << "those who belong to it still come";
  state("off");
  EXPECT_FALSE(drain("b1"));
  state("active");
  EXPECT_TRUE(drain("b1"));
  add(plan({"app", SetMaintenance{Maintenance{}}}));
  EXPECT_FALSE(drain("b1"));
}

// --- Weights in the file and at run time ---------------------------------------------------------

TEST_F(ServersTest, G8AServersWeightStaysUntilItsTextInTheFileChanges) {
  weigh("b1", "5");
  EXPECT_THAT(reload_with("1"), IsEmpty());
  EXPECT_EQ(weight(), "5");
  weigh("b1", "2");
  EXPECT_THAT(reload_with("1"), IsEmpty());
  EXPECT_EQ(weight(), "2");
  const RevisionNumber set = revision();
  EXPECT_THAT(reload_with("3"),
              ElementsAre("server \"blue/b1\": its weight in the file changed from 1 to 3, which "
                          "replaces 2, set by revision " +
                          std::to_string(set)));
  EXPECT_EQ(weight(), "3");
  EXPECT_GT(revision(), set) << "who saw the weight of before must not write over this one";
}

TEST_F(ServersTest, G8WhatTheFileReplacedCanBeSetAgain) {
  weigh("b1", "5");
  reload_with("3");
  weigh("b1", "4");
  EXPECT_THAT(reload_with("3"), IsEmpty());
  EXPECT_EQ(weight(), "4");
  EXPECT_THAT(reload_with("1"), ElementsAre(HasSubstr("changed from 3 to 1, which replaces 4")));
  EXPECT_EQ(weight(), "1");
}

TEST_F(ServersTest, AFileThatCatchesUpOrAWeightThatWasNoOtherIsNoConflict) {
  weigh("b1", "5");
  EXPECT_THAT(reload_with("5"), IsEmpty());
  EXPECT_EQ(weight(), "5");
  EXPECT_THAT(reload_with("6"), IsEmpty()) << "nothing is set through the API any more";
  EXPECT_EQ(weight(), "6");
  weigh("b1", "6");
  EXPECT_THAT(reload_with("7"), IsEmpty());
  EXPECT_EQ(weight(), "7");
}

TEST_F(ServersTest, AWeightWhoseServerLeavesTheFileIsReported) {
  weigh("b1", "5");
  config.backends[0].servers.erase(config.backends[0].servers.begin());
  const State::ReloadPlan plan = book.state.plan_reload(config, kNow);
  EXPECT_THAT(plan.conflicts,
              ElementsAre(AllOf(HasSubstr("no longer in the file (where its weight was 1)"),
                                HasSubstr("forgets 5, set by revision 2"))));
  add(plan.revision);
  EXPECT_TRUE(book.state.image().members.empty());
}

TEST_F(ServersTest, AnAddedServerThatTheFileListsWithAnotherWeightIsReported) {
  add(book.state.plan_add(live(), {"blue", "127.0.0.1:9999", "b3", "4"}, {}, kNow));
  config.backends[0].servers.push_back({"b3", *Address::parse("127.0.0.1:9999")});
  const State::ReloadPlan plan = book.state.plan_reload(config, kNow);
  EXPECT_THAT(plan.conflicts, ElementsAre("server \"blue/b3\": its weight in the file is 1, which "
                                          "replaces 4, set by revision 2"));
  add(plan.revision);
  EXPECT_TRUE(book.state.image().members.empty());
}

}  // namespace
}  // namespace sluice::routing
