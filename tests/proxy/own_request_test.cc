// A request of the proxy's own against servers on the fake network.
#include "proxy/data/own_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/proxy/backend_fixture.h"

namespace sluice::proxy {
namespace {

using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;

class OwnRequestTest : public BackendTest {
 protected:
  OwnRequestTest() {
    network_.listen_scripted(address_);
    make(conf::HttpVersion::http1);
    pool_->keep_idle(false);
  }
  void start(std::string body = "", std::size_t answer_bytes_max = 100) {
    OwnRequest::Call call{
        .body = std::move(body), .timeout = seconds(5), .answer_bytes_max = answer_bytes_max};
    call.head.method = http::Method::post;
    call.head.method_text = "POST";
    call.head.authority = "hook";
    call.head.target = "/x";
    call.head.keep_alive = false;
    request_->start(*pool_, std::move(call), [this](OwnRequest::Result result) {
      ++calls_;
      if (result) {
        outcome_ = std::to_string(result->status) + " " + result->body;
        retry_after_ = result->retry_after;
      } else {
        outcome_ = (result.error().ours ? "ours: " : "failed: ") + result.error().reason;
      }
    });
    turn();
  }
  io::Peer accepted() {
    turn();
    const auto peer = network_.accept(address_);
    EXPECT_TRUE(peer);
    turn();
    return peer.value_or(io::Peer());
  }
  void answer(io::Peer& peer, std::string_view text) {
    peer.write(text);
    turn();
  }

  std::unique_ptr<OwnRequest> request_ = std::make_unique<OwnRequest>(host_);
  std::string outcome_;
  std::optional<std::chrono::seconds> retry_after_;
  int calls_ = 0;
};

TEST_F(OwnRequestTest, SendsItsBodyAndReadsTheAnswer) {
  start("{\"a\": 1}");
  io::Peer peer = accepted();
  EXPECT_THAT(peer.received(), HasSubstr("POST /x HTTP/1.1\r\n"));
  EXPECT_THAT(peer.received(), HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(peer.received(), EndsWith("\r\n\r\n{\"a\": 1}"));
  EXPECT_TRUE(request_->running());
  answer(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine");
  EXPECT_EQ(outcome_, "200 fine");
  EXPECT_FALSE(request_->running());
}

TEST_F(OwnRequestTest, WaitsForNoMoreOfTheAnswerThanIsOfUse) {
  start("", 3);
  io::Peer peer = accepted();
  answer(peer, "HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\nRetry-After: 7\r\n\r\nlong text");
  EXPECT_EQ(outcome_, "500 lon");
  EXPECT_EQ(retry_after_, seconds(7));
  start("", 0);
  peer = accepted();
  answer(peer, "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(outcome_, "204 ");
}

TEST_F(OwnRequestTest, SaysWhatWentWrong) {
  start();
  io::Peer peer = accepted();
  peer.close();
  turn();
  EXPECT_EQ(outcome_, "failed: closed without an answer");
  start();
  peer = accepted();
  answer(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi");
  peer.close();
  turn();
  EXPECT_EQ(outcome_, "failed: the answer was cut");
  start();
  peer = accepted();
  answer(peer, "HTTQ/1.1 200 OK\r\n\r\n");
  EXPECT_THAT(outcome_, HasSubstr("failed: malformed response"));
  network_.fail_connects(address_, ECONNREFUSED);
  start();
  turn();
  EXPECT_EQ(outcome_, "failed: connection refused");
  network_.fail_connects(address_, EADDRNOTAVAIL);
  start();
  turn();
  EXPECT_THAT(outcome_, HasSubstr("ours: "));
  EXPECT_EQ(calls_, 5);
}

TEST_F(OwnRequestTest, HasATimeForAllOfIt) {
  start();
  [[maybe_unused]] const io::Peer silent = accepted();
  pass(seconds(4));
  EXPECT_EQ(calls_, 0);
  pass(seconds(2));
  EXPECT_EQ(outcome_, "failed: no answer in time");
  start("", 1000);
  io::Peer slow = accepted();
  answer(slow, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
  pass(seconds(6));
  EXPECT_EQ(outcome_, "failed: no answer in time");
}

TEST_F(OwnRequestTest, CanBeGivenUpAndFreedAtAnyTime) {
  start("body");
  request_->cancel();
  turn();
  EXPECT_FALSE(request_->running());
  start("body");
  [[maybe_unused]] const io::Peer peer = accepted();
  request_.reset();
  turn();
  EXPECT_EQ(calls_, 0);
}

TEST_F(OwnRequestTest, MayBeFreedByWhomItCalls) {
  OwnRequest::Call call{.timeout = seconds(5)};
  call.head.method = http::Method::get;
  call.head.method_text = "GET";
  call.head.authority = "hook";
  call.head.target = "/";
  request_->start(*pool_, std::move(call), [this](OwnRequest::Result) {
    ++calls_;
    request_.reset();
  });
  io::Peer peer = accepted();
  answer(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
  EXPECT_EQ(calls_, 1);
}

}  // namespace
}  // namespace sluice::proxy
