// The HTTP/2 client and origin of the tests, against each other.
#include "tests/harness/h2_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/harness/h2_origin_answers.h"
#include "tests/harness/raw_origin.h"
#include "tests/harness/strict_h2_origin.h"

namespace sluice::harness {
namespace {

class H2ClientTest : public testing::TestWithParam<bool> {
 protected:
  H2ClientTest() {
    StrictH2Origin::Options options{.name = "o", .tls = {}};
    if (GetParam()) options.tls = make_certificate(directory_.path());
    origin_ = std::make_unique<StrictH2Origin>(options);
  }
  ~H2ClientTest() override {
    if (clean_) {
      EXPECT_THAT(origin_->violations(), testing::IsEmpty());
    }
  }

  std::unique_ptr<H2Client> connect(H2Client::Options options = {}) {
    if (GetParam()) options.tls = ClientTls{};
    auto client = H2Client::connect(Endpoint::tcp(origin_->port()), options);
    EXPECT_TRUE(client) << client.error();
    return client ? std::move(*client) : nullptr;
  }

  TempDir directory_;
  std::unique_ptr<StrictH2Origin> origin_;
  bool clean_ = true;
};

TEST_P(H2ClientTest, BodiesGoBothWaysWhole) {
  auto client = connect();
  EXPECT_EQ(client->get("/").body, "backend o\n");
  const std::string body = pattern(3'000'000);
  H2Response echoed = client->request("POST", "/echo", body);
  EXPECT_TRUE(echoed.complete()) << echoed.summary();
  EXPECT_EQ(echoed.body_size, body.size());
  EXPECT_TRUE(echoed.body_is_pattern);
  EXPECT_EQ(echoed.body_sha256, Digest::of(body));
  EXPECT_TRUE(origin_->requests().back().body_is_pattern);
  EXPECT_EQ(client->request("HEAD", "/bytes/7").field("content-length"), "7");
  EXPECT_EQ(origin_->counts().requests, 3u);
  EXPECT_EQ(client->alpn(), GetParam() ? "h2" : "");
}

TEST_P(H2ClientTest, TrailersAndInterimResponsesAreSeen) {
  auto client = connect();
  H2Response response = client->get("/trailers");
  EXPECT_EQ(response.trailers.get("x-backend-time"), "7") << response.summary();
  response = client->get("/interim/103");
  ASSERT_EQ(response.interim.size(), 1u) << response.summary();
  EXPECT_EQ(response.interim[0].status, 103);
  const auto stream = client->begin({.method = "POST", .target = "/echo", .end = false});
  client->put(stream, "hello", false);
  Fields trailers;
  trailers.add("x-sum", "1");
  client->put_trailers(stream, trailers);
  EXPECT_EQ(client->finish(stream).body, "hello");
  EXPECT_EQ(origin_->requests().back().trailers.get("x-sum"), "1");
}

TEST_P(H2ClientTest, StreamsRunBesideEachOther) {
  auto client = connect();
  const auto held = client->begin({.target = "/hold-body/1000"});
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 50; ++i) streams.push_back(client->begin({.target = "/bytes/100000"}));
  for (auto stream : streams) EXPECT_TRUE(client->finish(stream).body_is_pattern);
  ASSERT_TRUE(origin_->wait_for_held(1));
  EXPECT_EQ(client->response(held).body_size, 500u);
  origin_->release();
  EXPECT_EQ(client->finish(held).body_size, 1000u);
  EXPECT_GE(origin_->counts().streams_at_once, 10u);
}

TEST_P(H2ClientTest, AbortsAreVisible) {
  auto client = connect();
  H2Response response = client->get("/truncate/10000");
  EXPECT_EQ(response.outcome, Outcome::reset) << response.summary();
  EXPECT_EQ(response.body_size, 5000u);
  EXPECT_EQ(client->get("/reset/7").reset_code, 7u);
  EXPECT_EQ(client->get("/refused-once").reset_code, +h2::kRefusedStream);
  EXPECT_EQ(client->get("/refused-once").status, 200);
  response = client->get("/cut/10000");
  // A reset, where something that we sent was still unread.
  EXPECT_FALSE(response.complete()) << response.summary();
  EXPECT_NE(response.ending, Ending::open);
}

TEST_P(H2ClientTest, AnEarlyAnswerStandsThoughTheRequestIsCutOff) {
  auto client = connect();
  const auto stream = client->begin({.method = "POST", .target = "/early-close", .end = false});
  const H2Response response = client->finish(stream);
  EXPECT_TRUE(response.complete()) << response.summary();
  EXPECT_EQ(response.status, 413);
}

TEST_P(H2ClientTest, AGoAwayEndsTheConnectionBehindItsStreams) {
  auto client = connect();
  EXPECT_EQ(client->get("/goaway").status, 200);
  EXPECT_TRUE(client->wait_until([&] { return client->ending() != Ending::open; }));
  EXPECT_EQ(client->go_away()->last_stream, 1u);
  client = connect();
  EXPECT_EQ(client->get("/").status, 200);
  EXPECT_FALSE(client->get("/goaway-once").complete());
  EXPECT_EQ(client->go_away()->last_stream, 1u);
  EXPECT_EQ(connect()->get("/goaway-once").status, 200);
  EXPECT_EQ(origin_->counts().turned_away, 1u);
  EXPECT_EQ(origin_->counts().requests, 3u);
}

TEST_P(H2ClientTest, AStalledBodyStopsAtTheWindow) {
  auto client = connect();
  const auto stream = client->begin({.method = "POST", .target = "/stall", .end = false});
  client->put(stream, pattern(1'000'000), true);
  EXPECT_TRUE(client->wait_until([&] { return client->window(stream) == 0; }));
  EXPECT_TRUE(client->wait_until([&] { return origin_->counts().body_bytes == 65'535; }));
  EXPECT_GT(client->unsent(stream), 900'000u);
  origin_->release();
  EXPECT_EQ(client->finish(stream).status, 200);
  EXPECT_TRUE(origin_->requests().back().body_is_pattern);
}

TEST_P(H2ClientTest, ATunnelReturnsEveryByte) {
  auto client = connect();
  H2Client::Ask ask{.method = "CONNECT", .target = "/tunnel", .end = false};
  ask.fields.add(":protocol", "websocket");
  const auto stream = client->begin(ask);
  ASSERT_TRUE(client->wait_for_head(stream));
  for (const char* word : {"one", "two"}) {
    const std::uint64_t before = client->response(stream).body_size;
    client->put(stream, word, false);
    EXPECT_TRUE(
        client->wait_until([&] { return client->response(stream).body_size == before + 3; }));
  }
  client->put(stream, "", true);
  EXPECT_EQ(client->finish(stream).body, "onetwo");
}

TEST_P(H2ClientTest, TheOriginWritesViolationsDown) {
  clean_ = false;
  auto client = connect();
  Fields fields = H2Client::request_fields({});
  fields.add("connection", "close");
  const auto stream = client->take_stream();
  ASSERT_TRUE(client->send(h2::headers(stream, fields, true)));
  EXPECT_EQ(client->finish(stream).reset_code, +h2::kProtocolError);
  ASSERT_EQ(origin_->violations().size(), 1u);
  EXPECT_EQ(origin_->counts().requests, 0u);
}

TEST_P(H2ClientTest, GarbageIsGarbage) {
  for (const H2Garbage& kind : h2_garbage_kinds()) {
    if (kind.name.find("flood") != std::string::npos || kind.name.starts_with("endless")) continue;
    EXPECT_FALSE(h2_garbage(kind.name, 1).empty()) << kind.name;
  }
  auto client = connect();
  EXPECT_EQ(client->get("/garbage/upper-case-name").outcome, Outcome::malformed);
}

TEST_P(H2ClientTest, RequestsInPiecesAreWholeToTheOrigin) {
  for (std::size_t piece = 1; piece < 12; piece += 5) {
    auto client = connect();  // whose SETTINGS are still to be acknowledged
    const std::uint32_t stream = client->take_stream();
    ASSERT_TRUE(client->send_in_pieces(
        h2::headers(stream, H2Client::request_fields({.method = "POST", .target = "/echo"}),
                    false) +
            h2::data(stream, "hello", true),
        piece));
    EXPECT_EQ(client->finish(stream).body, "hello") << piece;
    EXPECT_EQ(client->get("/").status, 200) << piece;
  }
}

TEST(H2ClientPiecesTest, ItsOwnFramesWaitBehindTheLastPiece) {
  // More than the sockets between them hold: the last piece goes only once the origin reads, and
  // the origin has asked for its answers before it does.
  const std::string bytes = pattern(24'000'000);
  std::promise<std::string> seen;
  RawOrigin origin([&](RawConnection& connection) {
    connection.write(h2::settings({}) + h2::frame(h2::kPing, 0, 0, "12345678") +
                     h2::data(1, "five!"));
    seen.set_value(connection.read_to_end());
  });
  auto client = H2Client::connect(Endpoint::parse(origin.address()));
  ASSERT_TRUE(client) << client.error();
  ASSERT_TRUE((*client)->send_in_pieces(bytes, 50'000));
  EXPECT_EQ((*client)->frames(h2::kSettings), 1u);
  EXPECT_EQ((*client)->frames(h2::kPing), 1u);
  EXPECT_EQ((*client)->frames(h2::kData), 1u);
  ASSERT_TRUE((*client)->send({}));
  (*client)->finish_sending();
  const std::string all = seen.get_future().get();
  const std::size_t at = all.find(bytes);
  ASSERT_NE(at, std::string::npos) << "something stands between the pieces";
  // Behind the last one, or in front of the first if the origin was as quick as that.
  const std::string around = all.substr(0, at) + all.substr(at + bytes.size());
  EXPECT_TRUE(around.ends_with(h2::frame(h2::kSettings, h2::kAck, 0) +
                               h2::frame(h2::kPing, h2::kAck, 0, "12345678") +
                               h2::window_update(0, 5)));
}

INSTANTIATE_TEST_SUITE_P(Transport, H2ClientTest, testing::Bool(),
                         [](const auto& each) { return each.param ? "Tls" : "Plain"; });

}  // namespace
}  // namespace sluice::harness
