// The exchange: times and rates.
#include "tests/proxy/exchange_fixture.h"

namespace sluice::proxy {
namespace {

// --- Rates --------------------------------------------------------------------------------------

TEST_F(ExchangeTest, ABodyThatTricklesInIsA408) {
  begin("POST", false);
  for (int i = 0; i < 11; ++i) {
    exchange_->on_request_body(as_bytes("drop"));
    pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(client_.log, "own 408 close; end; ");
  EXPECT_EQ(counters_.get(admin::Count::limit_request_rate_min), 1u);
}

TEST_F(ExchangeTest, AStreamOfGrpcMessagesMayTrickle) {
  head_.fields.append("content-type", "application/grpc+proto");
  head_.version = http::Version::http_2;
  begin("POST", false);
  for (int i = 0; i < 15; ++i) {
    exchange_->on_request_body(as_bytes("drop"));
    pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(client_.log, "");
  exchange_->on_client_gone();
}

TEST_F(ExchangeTest, AClientThatTakesTooLittleOfItsResponseIsCut) {
  begin("GET", true);
  http::ResponseHead head;
  head.status = 200;
  stream(0).handler->on_response_head(head);
  stream(0).handler->on_response_body(as_bytes(std::string(5000, 'y')));
  for (int i = 0; i < 20 && client_.log == "head 200; "; ++i) {
    client_.waiting -= 10;
    pass(std::chrono::seconds(1));
  }
  EXPECT_EQ(client_.log, "head 200; abort; ");
  EXPECT_EQ(counters_.get(admin::Count::limit_response_rate_min), 1u);
}

// Whatever the timer was armed for before it was their turn.
TEST_F(ExchangeTest, SlowPeersAreEndedWhenTheirTimeIsUp) {
  set_stream_timeout(std::chrono::hours(1));
  begin("GET", true);
  http::ResponseHead head;
  head.status = 200;
  stream(0).handler->on_response_head(head);
  stream(0).handler->on_response_body(as_bytes(std::string(5000, 'y')));
  client_.waiting -= 10;
  pass(std::chrono::seconds(9));
  EXPECT_EQ(client_.log, "head 200; ");
  pass(std::chrono::seconds(21));
  EXPECT_EQ(client_.log, "head 200; abort; ");
  EXPECT_EQ(counters_.get(admin::Count::limit_response_rate_min), 1u);
}

// --- Times --------------------------------------------------------------------------------------

TEST_F(ExchangeTest, AServerThatNeverAnswersIsA504) {
  begin("GET", true);
  pass(std::chrono::milliseconds(4900));
  EXPECT_EQ(client_.log, "");
  pass(std::chrono::milliseconds(300));
  EXPECT_EQ(client_.log, "own 504; end; ");
  EXPECT_EQ(stream(0).log, "GET /x; end; cancel; ");
  EXPECT_EQ(counters_.get(admin::Count::timeout_response_head), 1u);
}

TEST_F(ExchangeTest, ABodyThatStopsComingIsA408) {
  begin("POST", false);
  exchange_->on_request_body(as_bytes("a"));
  pass(std::chrono::milliseconds(3200));
  EXPECT_EQ(client_.log, "own 408 close; end; ");
  EXPECT_EQ(counters_.get(admin::Count::timeout_stream), 1u);
}

TEST_F(ExchangeTest, AResponseThatStallsIsCut) {
  begin("GET", true);
  http::ResponseHead head;
  head.status = 200;
  stream(0).handler->on_response_head(head);
  pass(std::chrono::milliseconds(3200));
  EXPECT_EQ(client_.log, "head 200; abort; ");
}

}  // namespace
}  // namespace sluice::proxy
