// What can be rolled back to, leases, and servers that come and go: State and History together, as
// control keeps them.
#include "routing/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/ledger.h"
#include "tests/routing/book_fixture.h"

namespace sluice::routing {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = PlanError::Kind;

// --- Rollback -----------------------------------------------------------------------------------

TEST_F(BookTest, ARollbackIsTheSettingBeforeAndRepeatedGoesFurtherBack) {
  shift("50", "50");
  shift("10", "90");
  shift("0", "100");
  const std::pair<const char*, RevisionNumber> steps[] = {{"10/90", 3}, {"50/50", 2}, {"90/10", 1}};
  for (const auto& [expected, of] : steps) {
    const auto planned = back();
    ASSERT_TRUE(planned) << planned.error().message;
    EXPECT_EQ(planned->kind, RevisionKind::rollback);
    EXPECT_EQ(planned->of, of);
    book.add(*planned);
    EXPECT_EQ(weights(), expected);
  }
  const auto end = back();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind, Kind::nothing_before);
  EXPECT_THAT(end.error().message, HasSubstr("came into being with revision 1"));
}

TEST_F(BookTest, AChangeAfterARollbackIsUndoneToTheRollback) {
  shift("50", "50");
  shift("0", "100");
  add(back());
  shift("30", "70");
  add(back());
  EXPECT_EQ(weights(), "50/50");
  add(back());
  EXPECT_EQ(weights(), "90/10") << "the rollback stands where revision 2 stood";
}

TEST_F(BookTest, WhatMovedNothingIsNoStepOfARollback) {
  shift("50", "50");
  shift("50", "50");
  lease("50", "50");
  add(back());
  EXPECT_EQ(weights(), "90/10");
  EXPECT_EQ(back().error().kind, Kind::nothing_before);
}

TEST_F(BookTest, ARollbackNeverGoesForthToWhatALapseTookBack) {
  shift("70", "30");
  shift("60", "40");
  const RevisionNumber first = lease("50", "50");
  ASSERT_NE(lease("0", "100"), first);
  add(book.state.plan_lease(RevisionKind::lapse_lease, book.state.lease_of("app"), {}, {}, kNow));
  EXPECT_EQ(weights(), "60/40");
  for (const char* expected : {"70/30", "90/10"}) {
    add(back());
    EXPECT_EQ(weights(), expected);
  }
  EXPECT_EQ(back().error().kind, Kind::nothing_before);
}

TEST_F(BookTest, NorToAStepOfAChainOfLeasesThatHappensToBeTheSame) {
  shift("70", "30");
  lease("50", "50");
  lease("70", "30");
  lease("0", "100");
  add(book.state.plan_lease(RevisionKind::lapse_lease, book.state.lease_of("app"), {}, {}, kNow));
  EXPECT_EQ(weights(), "70/30");
  add(back());
  EXPECT_EQ(weights(), "90/10") << "not what only a lease had set";
}

TEST_F(BookTest, AConfirmedLeaseIsAStepLikeAnyOther) {
  const RevisionNumber kept = lease("50", "50");
  add(book.state.plan_lease(RevisionKind::confirm_lease, kept, {}, {}, kNow));
  lease("0", "100");
  add(book.state.plan_lease(RevisionKind::lapse_lease, book.state.lease_of("app"), {}, {}, kNow));
  EXPECT_EQ(weights(), "50/50");
  add(back());
  EXPECT_EQ(weights(), "90/10");
}

TEST_F(BookTest, ARollbackToANumberIsWhatWasInForceThen) {
  shift("50", "50");                                                   // 2
  add(book.state.plan_drain(config, {"blue", "b1"}, true, {}, kNow));  // 3
  shift("0", "100");                                                   // 4
  const auto planned = back(3);
  ASSERT_TRUE(planned);
  EXPECT_EQ(planned->of, 2u);
  book.add(*planned);
  EXPECT_EQ(weights(), "50/50");
  EXPECT_TRUE(book.state.is_draining({"blue", "b1"})) << "a route's rollback is no server's";
  add(back(1));
  EXPECT_EQ(weights(), "90/10");
  for (const RevisionNumber number : {RevisionNumber{0}, RevisionNumber{7}}) {
    EXPECT_EQ(back(number).error().kind, Kind::unknown_revision);
  }
}

TEST_F(BookTest, StatesAndMaintenanceRollBackWithTheWeights) {
  shift("50", "50");
  StatedSplit states{.weights = {}, .whole = false, .states = {{"blue", "sticky_only"}}};
  add(plan({"app", states}));
  add(plan({"app", SetMaintenance{Maintenance{seconds(30)}}}));
  EXPECT_TRUE(book.state.route("app")->setting.maintenance);
  add(back());
  EXPECT_FALSE(book.state.route("app")->setting.maintenance);
  EXPECT_EQ(book.state.route("app")->setting.split[0].state, conf::ShareState::sticky_only);
  add(back());
  EXPECT_EQ(book.state.route("app")->setting.split[0].state, conf::ShareState::active);
  EXPECT_EQ(weights(), "50/50");
}

TEST_F(BookTest, ABackendThatIsGoneIsAConflictOnlyIfItHadWeight) {
  shift("50", "50");  // 2
  shift("0", "100");  // 3
  config.routes[0].split = {share("green", "1"), share("red", "0")};
  config.backends.push_back(backend("red", {"r1"}));
  add(book.state.plan_reload(config, kNow).revision);  // 4
  const auto gone = back(2);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, Kind::backend_gone);
  EXPECT_THAT(gone.error().message, HasSubstr("\"blue\""));
  add(back(3));
  EXPECT_EQ(weights(), "100/0") << "red had no part in it";
}

TEST_F(BookTest, HistoryIsNewestFirstInPagesAndByRoute) {
  config.routes.push_back(route("other", blue_green("1", "1")));
  add(book.state.plan_reload(config, kNow).revision);  // 2
  shift("50", "50");                                   // 3
  add(plan(put("other", {{"blue", "2"}, {"green", "1"}})));
  const auto numbers = [](const std::vector<const Revision*>& revisions) {
    std::vector<RevisionNumber> all;
    for (const Revision* revision : revisions) all.push_back(revision->number);
    return all;
  };
  EXPECT_THAT(numbers(book.history.list({}, 0, 2)), ElementsAre(4, 3));
  EXPECT_THAT(numbers(book.history.list({}, 3, 9)), ElementsAre(2, 1));
  EXPECT_THAT(numbers(book.history.list("app", 0, 9)), ElementsAre(3, 1));
  EXPECT_EQ(book.history.find(3)->number, 3u);
  EXPECT_EQ(book.history.find(9), nullptr);
}

TEST_F(BookTest, WhatHistoryNoLongerKeepsCanNotBeRolledBackTo) {
  book.history = History(2);
  shift("50", "50");
  shift("40", "60");
  shift("30", "70");
  add(back());
  EXPECT_EQ(weights(), "40/60");
  const auto further = back();
  ASSERT_FALSE(further);
  EXPECT_EQ(further.error().kind, Kind::nothing_before);
  EXPECT_EQ(back(1).error().kind, Kind::unknown_revision);
}

// --- Transactions -------------------------------------------------------------------------------

TEST_F(BookTest, SeveralRoutesChangeTogetherOrNotAtAll) {
  config.routes.push_back(route("other", blue_green("1", "1")));
  add(book.state.plan_reload(config, kNow).revision);
  Transaction both{
      .routes = {put("app", {{"blue", "1"}, {"green", "1"}}), switch_to("other", "green")}};
  const auto planned = book.state.plan(both, facts(), {}, kNow);
  ASSERT_TRUE(planned);
  EXPECT_EQ(planned->routes.size(), 2u);
  both.routes[1] = switch_to("other", "nobody");
  EXPECT_EQ(book.state.plan(both, facts(), {}, kNow).error().kind, Kind::unknown_backend);
  both.routes[1] = both.routes[0];
  EXPECT_THAT(book.state.plan(both, facts(), {}, kNow).error().message,
              HasSubstr("stated more than once"));
  EXPECT_FALSE(book.state.plan({}, facts(), {}, kNow));
}

TEST_F(BookTest, TheGuardRefusesMoreForABackendThatCanNotServe) {
  Facts facts = this->facts();
  facts.takes_requests = [](const ServerKey& server) { return server.backend != "green"; };
  const auto with = [&](const char* blue, const char* green, bool force) {
    return book.state.plan(
        {.routes = {put("app", {{"blue", blue}, {"green", green}})}, .force = force}, facts, {},
        kNow);
  };
  EXPECT_EQ(with("80", "20", false).error().kind, Kind::no_healthy_server);
  EXPECT_TRUE(with("80", "20", true));
  EXPECT_TRUE(with("95", "5", false)) << "less for it is always possible";
  EXPECT_TRUE(with("900", "100", false)) << "the same share";
}

TEST_F(BookTest, TheGuardKnowsThatABackendThatIsOffGetsNothing) {
  Facts facts = this->facts();
  facts.takes_requests = [](const ServerKey& server) { return server.backend != "green"; };
  const auto to = [&](std::vector<std::pair<std::string, std::string>> states) {
    StatedSplit stated{.weights = {}, .whole = false, .states = std::move(states)};
    return book.state.plan({.routes = {{"app", std::move(stated)}}}, facts, {}, kNow);
  };
  add(to({{"green", "off"}}));
  EXPECT_EQ(to({{"green", "active"}}).error().kind, Kind::no_healthy_server);
  EXPECT_EQ(to({{"green", "sticky_only"}}).error().kind, Kind::no_healthy_server);
  facts.takes_requests = [](const ServerKey&) { return true; };
  add(to({{"green", "sticky_only"}}));
  facts.takes_requests = [](const ServerKey& server) { return server.backend != "green"; };
  EXPECT_TRUE(to({{"green", "off"}})) << "less for it is always possible";
}

TEST_F(BookTest, TheGuardKnowsThatMaintenanceSendsNothing) {
  Facts facts = this->facts();
  facts.takes_requests = [](const ServerKey& server) { return server.backend != "green"; };
  const auto set = [&](std::optional<Maintenance> maintenance) {
    return book.state.plan({.routes = {{"app", SetMaintenance{maintenance}}}}, facts, {}, kNow);
  };
  add(set(Maintenance{}));
  add(book.state.plan({.routes = {switch_to("app", "green")}}, facts, {}, kNow));
  const auto ended = set(std::nullopt);
  ASSERT_FALSE(ended) << "nobody is there for those who come back";
  EXPECT_EQ(ended.error().kind, Kind::no_healthy_server);
  facts.takes_requests = [](const ServerKey&) { return true; };
  EXPECT_TRUE(set(std::nullopt));
}

TEST_F(BookTest, ARouteMayDemandIfMatch) {
  config.routes[0].require_if_match = true;
  RouteWish wish = put("app", {{"blue", "1"}, {"green", "1"}});
  const auto refused = book.state.plan({.routes = {wish}}, facts(), {}, kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::if_match_required);
  wish.if_match = 1;
  EXPECT_TRUE(book.state.plan({.routes = {wish}}, facts(), {}, kNow));
}

TEST_F(BookTest, ACallThatChangesNothingIsRememberedAndChangesNothing) {
  shift("50", "50");
  const auto remember = [&](std::expected<Revision, PlanError> planned, const char* key) {
    planned->key = IdempotencyKey{key, "digest"};
    ASSERT_TRUE(book.state.changes_nothing(*planned));
    add(std::optional(book.state.remembering(*planned)));
  };
  const StateImage before = book.state.image();
  remember(plan(put("app", {{"blue", "50"}, {"green", "50"}})), "shift");
  remember(book.state.plan_drain(live(), {"blue", "b1"}, false, {}, kNow), "resume");
  StateImage after = book.state.image();
  EXPECT_EQ(after.revision, 4u);
  ASSERT_NE(book.state.known_key("shift"), nullptr);
  EXPECT_EQ(book.state.known_key("shift")->revision, 3u);
  EXPECT_EQ(book.history.find(3)->of, 2u) << "what had made it so";
  EXPECT_EQ(book.history.find(4)->of, 3u);
  after.revision = before.revision;
  after.keys = before.keys;
  EXPECT_EQ(after, before) << "ETags, weights and drains are what they were";
  EXPECT_EQ(book.history.list("app", 0, 10).size(), 2u) << "it changed no route";
  add(back());
  EXPECT_EQ(weights(), "90/10");
  add(back(3));
  EXPECT_EQ(weights(), "50/50");
}

TEST_F(BookTest, KeysAreRememberedUpToABound) {
  for (int i = 0; i < static_cast<int>(State::kKeysMax) + 5; ++i) {
    auto planned = plan(put("app", {{"blue", std::to_string(i)}, {"green", "1"}}));
    planned->key = IdempotencyKey{"key-" + std::to_string(i), "digest"};
    add(planned);
  }
  EXPECT_EQ(book.state.known_key("key-4"), nullptr);
  ASSERT_NE(book.state.known_key("key-5"), nullptr);
  EXPECT_EQ(book.state.known_key("key-5")->revision, 7u);
}

// --- Leases -------------------------------------------------------------------------------------

TEST_F(BookTest, ALeaseThatLapsesBringsBackWhatWasBefore) {
  shift("80", "20");
  const RevisionNumber number = lease("0", "100");
  EXPECT_EQ(book.state.lease_of("app"), number);
  EXPECT_EQ(book.state.leases().at(number).lease.deadline, kNow + seconds(60));
  add(book.state.plan_lease(RevisionKind::lapse_lease, number, {}, {}, kNow));
  EXPECT_EQ(weights(), "80/20");
  EXPECT_TRUE(book.state.leases().empty());
  EXPECT_EQ(book.state.plan_lease(RevisionKind::lapse_lease, number, {}, {}, kNow).error().kind,
            Kind::unknown_lease);
}

TEST_F(BookTest, TheSameWeightsWithoutALeaseMakeThemStay) {
  lease("0", "100");
  const auto planned = plan(put("app", {{"blue", "0"}, {"green", "100"}}));
  ASSERT_TRUE(planned);
  EXPECT_TRUE(changes_nothing(*planned));
  EXPECT_FALSE(book.state.changes_nothing(*planned)) << "it ends the lease";
  add(planned);
  EXPECT_TRUE(book.state.leases().empty());
  const auto again = plan(put("app", {{"blue", "0"}, {"green", "100"}}));
  EXPECT_TRUE(book.state.changes_nothing(*again));
}

TEST_F(BookTest, TheHistoryOfARouteTellsOfItsLeases) {
  const RevisionNumber shifted = lease("0", "100", Lease::OnLapse::freeze);
  add(book.state.plan_lease(RevisionKind::renew_lease, shifted, {}, {}, kNow));
  add(book.state.plan_lease(RevisionKind::lapse_lease, shifted, {}, {}, kNow));
  const auto listed = book.history.list("app", 0, 10);
  ASSERT_EQ(listed.size(), 4u);
  EXPECT_EQ(listed[0]->kind, RevisionKind::lapse_lease);
  EXPECT_EQ(listed[1]->kind, RevisionKind::renew_lease);
  EXPECT_TRUE(book.history.list("other", 0, 10).empty());
}

TEST_F(BookTest, ALeaseThatFreezesLeavesTheWeightsAndIsGone) {
  const RevisionNumber number = lease("0", "100", Lease::OnLapse::freeze);
  add(book.state.plan_lease(RevisionKind::lapse_lease, number, {}, {}, kNow));
  EXPECT_EQ(weights(), "0/100");
  EXPECT_TRUE(book.state.leases().empty());
}

TEST_F(BookTest, ARenewalMovesTheDeadlineAndNoEtag) {
  const RevisionNumber number = lease("0", "100");
  add(book.state.plan_lease(RevisionKind::renew_lease, number, {}, {}, kNow + seconds(30)));
  EXPECT_EQ(book.state.leases().at(number).lease.deadline, kNow + seconds(90));
  add(book.state.plan_lease(RevisionKind::renew_lease, number, seconds(5), {}, kNow + seconds(30)));
  EXPECT_EQ(book.state.leases().at(number).lease.deadline, kNow + seconds(35));
  EXPECT_EQ(book.state.route("app")->revision, number);
  EXPECT_EQ(weights(), "0/100");
}

TEST_F(BookTest, AConfirmedOrSupersededLeaseIsVoid) {
  const RevisionNumber confirmed = lease("0", "100");
  add(book.state.plan_lease(RevisionKind::confirm_lease, confirmed, {}, {}, kNow));
  EXPECT_TRUE(book.state.leases().empty());
  const RevisionNumber superseded = lease("1", "1");
  shift("70", "30");
  EXPECT_TRUE(book.state.leases().empty());
  EXPECT_FALSE(book.state.plan_lease(RevisionKind::lapse_lease, superseded, {}, {}, kNow));
  EXPECT_EQ(weights(), "70/30");
}

TEST_F(BookTest, ALeaseOverSeveralRoutesHoldsForThoseThatNobodyChanged) {
  config.routes.push_back(route("other", blue_green("1", "1")));
  add(book.state.plan_reload(config, kNow).revision);
  const auto planned =
      book.state.plan({.routes = {switch_to("app", "green"), switch_to("other", "green")},
                       .lease = LeaseWish{.ttl = seconds(60)}},
                      facts(), {}, kNow);
  add(planned);
  shift("70", "30");
  EXPECT_THAT(book.state.leased_routes(planned->number), ElementsAre("other"));
  add(book.state.plan_lease(RevisionKind::lapse_lease, planned->number, {}, {}, kNow));
  EXPECT_EQ(to_text_of("app"), "70/30");
  EXPECT_EQ(to_text_of("other"), "1/1");
}

// --- All of it through the ledger ---------------------------------------------------------------

TEST_F(BookTest, EverythingSurvivesTheLedgerAsRecordsAndAsACheckpoint) {
  shift("50", "50");
  StatedSplit states{.weights = {}, .whole = false, .states = {{"blue", "off"}}};
  add(plan({"app", states}));
  add(plan({"app", SetMaintenance{Maintenance{seconds(30)}}}));
  add(back());
  add(book.state.plan_add(live(), {"blue", "unix:/run/x.sock", "b3", "2"}, {}, kNow));
  add(book.state.plan_weigh(live(), {"blue", "b1"}, "0.5", {}, kNow));
  add(book.state.plan_remove(facts(), {"blue", "b2"}, false, {}, kNow));
  add(book.state.plan_drain_all(live(), "blue", true, {}, kNow));
  auto keyed = plan(put("app", {{"blue", "7"}, {"green", "1"}}));
  keyed->key = IdempotencyKey{"uid:0 deploy-17", "1234-5"};
  add(keyed);
  const RevisionNumber number = lease("0", "100", Lease::OnLapse::freeze);
  add(book.state.plan_lease(RevisionKind::renew_lease, number, seconds(9), {}, kNow));
  keyed = book.state.plan_weigh(live(), {"blue", "b1"}, "0.5", {}, kNow);
  keyed->key = IdempotencyKey{"uid:0 deploy-18", "1234-5"};
  add(std::optional(book.state.remembering(*keyed)));

  const std::vector<Revision> all(book.history.revisions().begin(), book.history.revisions().end());
  const auto records = encode_ledger({}, all);
  ASSERT_TRUE(records);
  const auto read = read_ledger(records->text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->revisions, all);
  const auto checkpoint = encode_ledger(book.state.image(), {});
  ASSERT_TRUE(checkpoint);
  const auto image = read_ledger(checkpoint->text);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->base, book.state.image());
  EXPECT_EQ(image->last(), book.state.revision());
}

}  // namespace
}  // namespace sluice::routing
