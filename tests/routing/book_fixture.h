// BookTest: a State and a History together, as control keeps them, over basic_config().
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "routing/history.h"
#include "tests/routing/routing_fixture.h"

namespace sluice::routing {

inline constexpr WallTime kNow{std::chrono::seconds(1'795'000'000)};

class BookTest : public testing::Test {
 protected:
  BookTest() { add(book.state.plan_reload(config, kNow).revision); }

  void add(std::optional<Revision> revision) {
    ASSERT_TRUE(revision);
    book.add(*revision);
  }
  void add(const std::expected<Revision, PlanError>& planned) {
    ASSERT_TRUE(planned) << planned.error().message;
    book.add(*planned);
  }
  Facts facts() const { return {.config = live(), .history = book.history}; }
  const conf::Config& live() const { return live_ = with_members(config, book.state); }
  std::expected<Revision, PlanError> plan(RouteWish wish) {
    return plan_wish(book.state, std::move(wish), {}, kNow, book.history);
  }
  void shift(const char* blue, const char* green) {
    add(plan(put("app", {{"blue", blue}, {"green", green}})));
  }
  std::expected<Revision, PlanError> back(std::optional<RevisionNumber> to = {}) {
    return plan({"app", RollBack{to}});
  }
  std::string weights() const { return to_text_of("app"); }
  std::string to_text_of(std::string_view route) const {
    std::string text;
    for (const auto& share : book.state.route(route)->setting.split) {
      text += (text.empty() ? "" : "/") + share.weight.to_string();
    }
    return text;
  }
  // A shift of app that lapses after a minute.
  RevisionNumber lease(const char* blue, const char* green,
                       Lease::OnLapse on_lapse = Lease::OnLapse::revert) {
    const auto planned =
        book.state.plan({.routes = {put("app", {{"blue", blue}, {"green", green}})},
                         .lease = LeaseWish{.ttl = std::chrono::seconds(60), .on_lapse = on_lapse}},
                        facts(), {}, kNow);
    add(planned);
    return planned->number;
  }

  conf::Config config = basic_config();
  Book book;
  mutable conf::Config live_;
};

}  // namespace sluice::routing
