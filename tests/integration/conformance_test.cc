// What RFC 9112, 9113 and 7541 ask of a proxy and no other test is about (docs/conformance.md):
// seen by a strict peer on either side of the real binary.
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>

#include "tests/harness/h2_client.h"
#include "tests/harness/raw_origin.h"
#include "tests/harness/strict_h2_origin.h"
#include "tests/integration/limits_test.h"

namespace sluice::integration {
namespace {

using harness::H2Client;
using harness::RawConnection;
using harness::RawOrigin;
namespace h2 = harness::h2;

class ConformanceTest : public SluiceTest {
 protected:
  void start_both(Scenario scenario = {}) {
    scenario.workers = 1;
    scenario.listener += "protocols = [\"http/1.1\", \"h2\"]\n";
    start(scenario);
  }
};

// --- RFC 9112 -----------------------------------------------------------------------------------

TEST_F(ConformanceTest, EachRequestHasTheHostOfItsTarget) {
  start_both();
  struct {
    const char* bytes;
    std::string host;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n", "shop.example:8080"},
      {"GET http://shop.example:8080/ HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n",
       "shop.example:8080"},
      {"GET http://shop.example HTTP/1.0\r\n\r\n", "shop.example"},
      // Nobody named it: it is the server's own.
      {"GET / HTTP/1.0\r\n\r\n", blue_.address()},
  };
  for (const auto& test : cases) {
    blue_.forget();
    auto client = connect();
    ASSERT_TRUE(client->send(test.bytes));
    EXPECT_EQ(client->read_response().status, 200) << test.bytes;
    EXPECT_EQ(blue_.requests().at(0).fields.all("Host"), std::vector<std::string>{test.host})
        << test.bytes;
  }
  blue_.forget();
  Fields fields;
  fields.add("Host", "shop.example:8080");
  EXPECT_EQ(connect_h2()->request("GET", "/", "", fields).status, 200);
  EXPECT_EQ(blue_.requests().at(0).fields.all("Host"),
            std::vector<std::string>{"shop.example:8080"});
}

class WholeServerTest : public PairTest {};

TEST_P(WholeServerTest, OptionsForTheWholeServerStaysSo) {
  start_pair();
  AnyClient client = this->client();
  std::vector<std::string> targets = {"*"};
  // A target without a path is the same (RFC 9112 section 3.2.4).
  if (!client.is_h2()) targets.emplace_back("http://localhost");
  for (const std::string& target : targets) {
    EXPECT_EQ(client.request("OPTIONS", target).status, 200) << target;
    EXPECT_EQ(origin_.last_request().method, "OPTIONS");
    EXPECT_EQ(origin_.last_request().target, "*") << target;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, WholeServerTest, testing::ValuesIn(plain_pairs()), pair_name);

TEST_F(ConformanceTest, AResponseThatWasNotReadToItsEndForbidsReuse) {
  start_both({.health = "enabled = false"});
  for (const bool version2 : {false, true}) {
    AnyClient client = version2 ? AnyClient(connect_h2()) : AnyClient(connect());
    blue_.forget();
    client.begin("GET", "/bytes/50000000", 0);
    ASSERT_TRUE(client.end());
    ASSERT_TRUE(answered_within(client, harness::kPatience));
    client.abort();
    ASSERT_TRUE(wait_until([&] { return metric("sluice_backend_connections") == 0; }));
    const Response next = get("/bytes/10");
    EXPECT_TRUE(next.body_is_pattern) << next.summary();
    EXPECT_EQ(next.body_size, 10u);
    const std::vector<harness::RecordedRequest> requests = blue_.requests();
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_NE(requests[0].connection, requests[1].connection);
    ASSERT_EQ(get("/close").status, 200);  // so that the next begins with none
    ASSERT_TRUE(wait_until([&] { return metric("sluice_backend_connections") == 0; }));
  }
}

TEST_F(ConformanceTest, WhatComesWhileNobodyAsksIsNoAnswer) {
  std::atomic<bool> speak = false;
  std::atomic<int> answered = 0;
  RawOrigin origin([&](RawConnection& connection) {
    const std::string mine = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";
    while (!connection.read_until("\r\n\r\n").empty()) {
      connection.write(mine);
      if (++answered > 1) continue;
      while (!speak) std::this_thread::sleep_for(milliseconds(1));
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    }
  });
  start_both({.backends = {{"blue", {{"one", origin.address()}}}}, .split = "{ blue = 1 }"});
  EXPECT_EQ(get("/").body, "mine");
  speak = true;
  ASSERT_TRUE(wait_until([&] { return metric("sluice_responses_refused_total") == 1; }));
  EXPECT_EQ(get("/").body, "mine");
  EXPECT_EQ(origin.connections(), 2);
}

// --- RFC 9113 -----------------------------------------------------------------------------------

// What a sender must keep to whatever it says (sections 4.1, 6): flags that the type has, the
// reserved bit clear.
void expect_well_formed(std::string_view bytes) {
  constexpr std::uint8_t kFlags[] = {
      h2::kEndStream | h2::kPadded,
      h2::kEndStream | h2::kEndHeaders | h2::kPadded | h2::kHasPriority,
      0,
      0,
      h2::kAck,
      h2::kEndHeaders | h2::kPadded,
      h2::kAck,
      0,
      0,
      h2::kEndHeaders};
  while (bytes.size() >= h2::kFrameHeadBytes) {
    const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    const std::size_t size = std::size_t{at(0)} << 16 | std::size_t{at(1)} << 8 | at(2);
    const std::uint8_t type = at(3);
    ASSERT_LT(type, std::size(kFlags)) << "a frame nobody asked for";
    EXPECT_EQ(at(4) & ~kFlags[type], 0) << "flags of a frame of type " << int{type};
    EXPECT_EQ(at(5) & 0x80, 0) << "the reserved bit of a frame of type " << int{type};
    EXPECT_NE(type, h2::kPushPromise);
    EXPECT_LE(size, 16'384u);
    bytes.remove_prefix(std::min(bytes.size(), h2::kFrameHeadBytes + size));
  }
}

std::vector<h2::Frame> frames_of(const std::string& bytes) {
  h2::FrameReader reader;
  reader.add(bytes);
  std::vector<h2::Frame> frames;
  while (auto frame = reader.next()) frames.push_back(std::move(*frame));
  return frames;
}

std::map<std::uint16_t, std::uint32_t> settings_of(const h2::Frame& frame) {
  std::map<std::uint16_t, std::uint32_t> settings;
  for (std::size_t at = 0; at + 6 <= frame.payload.size(); at += 6) {
    const auto high = static_cast<std::uint8_t>(frame.payload[at]);
    const auto low = static_cast<std::uint8_t>(frame.payload[at + 1]);
    settings[static_cast<std::uint16_t>(high << 8 | low)] = h2::number_at(frame.payload, at + 2);
  }
  return settings;
}

TEST_F(ConformanceTest, WhatClientsAreSentIsWellFormedHttp2) {
  start_both();
  auto client = connect();
  std::string request(h2::kPreface);
  request += h2::settings({}) + h2::frame(h2::kSettings, h2::kAck, 0);
  request += h2::frame(h2::kPing, 0, 0, "12345678") + h2::frame(h2::kPing, h2::kAck, 0, "unasked!");
  request += h2::headers(1, H2Client::request_fields({.target = "/trailers"}), true);
  request += h2::headers(3, H2Client::request_fields({.target = "/bytes/40000"}), true);
  ASSERT_TRUE(client->send(request));
  std::string bytes;
  std::set<std::uint32_t> ended;
  std::vector<h2::Frame> frames;
  const Deadline deadline;
  while (ended.size() < 2 && !deadline.over()) {
    pollfd coming{.fd = client->fd(), .events = POLLIN, .revents = 0};
    poll(&coming, 1, deadline.remaining_ms());
    std::array<char, 16 * 1024> buffer;
    const ssize_t n = recv(client->fd(), buffer.data(), buffer.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    ASSERT_GT(n, 0);
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
    frames = frames_of(bytes);
    for (const h2::Frame& frame : frames) {
      const bool ends = frame.type == h2::kData || frame.type == h2::kHeaders;
      if (ends && (frame.flags & h2::kEndStream) != 0) ended.insert(frame.stream);
    }
  }
  expect_well_formed(bytes);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames[0].type, h2::kSettings) << "the preface of a server (section 3.4)";
  EXPECT_EQ(frames[0].flags & h2::kAck, 0);
  const auto settings = settings_of(frames[0]);
  EXPECT_TRUE(!settings.contains(h2::kEnablePush) || settings.at(h2::kEnablePush) == 0);
  int acknowledged = 0;
  int pings = 0;
  for (const h2::Frame& frame : frames) {
    acknowledged += frame.type == h2::kSettings && (frame.flags & h2::kAck) != 0 ? 1 : 0;
    if (frame.type == h2::kPing) {
      ++pings;
      EXPECT_EQ(frame.flags, h2::kAck);
      EXPECT_EQ(frame.payload, "12345678");
    }
  }
  EXPECT_EQ(acknowledged, 1);
  EXPECT_EQ(pings, 1);
}

TEST_F(ConformanceTest, WhatServersAreSentIsWellFormedHttp2) {
  std::mutex mutex;
  std::string seen;
  RawOrigin origin([&](RawConnection& connection) {
    const std::string preface = connection.read_bytes(h2::kPreface.size());
    EXPECT_EQ(preface, h2::kPreface);
    connection.write(h2::settings({}));
    std::size_t answered = 0;
    for (std::string more; !(more = connection.read_some()).empty();) {
      std::lock_guard lock(mutex);
      seen += more;
      std::vector<std::uint32_t> whole;
      for (const h2::Frame& frame : frames_of(seen)) {
        const bool ends = frame.type == h2::kData || frame.type == h2::kHeaders;
        if (ends && (frame.flags & h2::kEndStream) != 0) whole.push_back(frame.stream);
      }
      for (; answered < whole.size(); ++answered) {
        connection.write(h2::headers(whole[answered], Fields{.lines = {{":status", "200"}}}, true));
      }
    }
  });
  start_both({.backends = {{"blue", {{"one", origin.address()}}}},
              .backend_lines = {{"blue", "protocol = \"h2\"\nhealth = { enabled = false }\n"}},
              .split = "{ blue = 1 }"});
  auto client = connect();
  EXPECT_EQ(client->request("POST", "/a", std::string(40'000, 'x')).status, 200);
  EXPECT_EQ(client->get("/b").status, 200);
  std::lock_guard lock(mutex);
  expect_well_formed(seen);
  const std::vector<h2::Frame> frames = frames_of(seen);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames[0].type, h2::kSettings) << "it follows the preface (section 3.4)";
  EXPECT_EQ(settings_of(frames[0]).at(h2::kEnablePush), 0u);
  std::uint32_t last = 0;
  for (const h2::Frame& frame : frames) {
    if (frame.type != h2::kHeaders) continue;
    EXPECT_EQ(frame.stream % 2, 1u) << "a client's streams are odd";
    EXPECT_GT(frame.stream, last) << "and rise";
    last = frame.stream;
  }
  EXPECT_EQ(last, 3u);
}

TEST_F(ConformanceTest, NoResetAnswersAReset) {
  start_both();
  auto client = connect_h2();
  const std::uint32_t held = client->begin({.target = "/hold"});
  ASSERT_TRUE(client->send(""));
  ASSERT_TRUE(blue_.wait_for_held(1));
  client->cancel(held);
  EXPECT_EQ(client->get("/").status, 200);
  EXPECT_TRUE(wait_until([&] { return blue_.counts().held == 0; }));
  EXPECT_EQ(client->get("/").status, 200);
  EXPECT_EQ(client->frames(h2::kResetStream), 0u);
}

TEST_F(ConformanceTest, SettingsAreAppliedInTheirOrder) {
  start_both();
  auto client = connect_h2({.opens_windows = false,
                            .settings = {{h2::kInitialWindowSize, 0},
                                         {h2::kInitialWindowSize, 60'000},
                                         {h2::kInitialWindowSize, 100}}});
  const std::uint32_t stream = client->begin({.target = "/bytes/1000"});
  ASSERT_TRUE(client->send(""));
  EXPECT_TRUE(client->wait_until([&] { return client->response(stream).body_size >= 100; }));
  // Behind an answer to what was sent later no more is on its way.
  EXPECT_EQ(client->request("GET", "/status/204").status, 204);
  EXPECT_EQ(client->response(stream).body_size, 100u);
  ASSERT_TRUE(client->send(h2::window_update(stream, 900)));
  EXPECT_EQ(client->finish(stream).body_size, 1000u);
}

TEST_F(ConformanceTest, ATunnelThatItsClientCutsIsResetForTheServer) {
  std::atomic<int> heard = 0;
  std::atomic<int> resets = 0;
  std::atomic<int> ends = 0;
  RawOrigin origin([&](RawConnection& connection) {
    connection.read_until("\r\n\r\n");
    connection.write("HTTP/1.1 200 OK\r\n\r\nwelcome");
    if (connection.read_bytes(5) == "hello") ++heard;
    char byte;
    pollfd coming{.fd = connection.fd(), .events = POLLIN, .revents = 0};
    poll(&coming, 1, Deadline{}.remaining_ms());
    const ssize_t n = recv(connection.fd(), &byte, 1, 0);
    ++(n < 0 && errno == ECONNRESET ? resets : ends);
  });
  start_both({.backends = {{"blue", {{"one", origin.address()}}}},
              .routes = "[routes.app]\nsplit = { blue = 1 }\nconnect = true\n"});
  int due = 0;
  for (const bool by_reset : {true, false}) {
    auto client = connect_h2();
    H2Client::Ask ask{.method = "CONNECT", .target = "", .fields = {}, .end = false};
    ask.fields.add("Host", "db.internal:5432");
    const std::uint32_t stream = client->begin(ask);
    ASSERT_TRUE(client->wait_for_head(stream));
    client->put(stream, "hello", false);
    ASSERT_TRUE(client->sent(stream));
    ASSERT_TRUE(client->wait_until([&] { return client->response(stream).body == "welcome"; }));
    ASSERT_TRUE(wait_until([&] { return heard == due + 1; }));
    if (by_reset) {
      client->cancel(stream);
      ASSERT_TRUE(client->send(""));
    } else {
      client->reset();  // of the connection
    }
    ++due;
    EXPECT_TRUE(wait_until([&] { return resets + ends == due; }));
  }
  auto client = connect();
  ASSERT_TRUE(client->send("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n"));
  ASSERT_FALSE(client->stays_quiet(harness::kPatience));
  ASSERT_TRUE(client->send("hello"));
  ASSERT_TRUE(wait_until([&] { return heard == due + 1; }));
  client->reset();
  ++due;
  EXPECT_TRUE(wait_until([&] { return resets + ends == due; }));
  EXPECT_EQ(resets, due);
}

// --- RFC 7541 -----------------------------------------------------------------------------------

// Literals that enter the table, and references to its newest and second newest entry.
std::string entering(std::string_view value) {
  EXPECT_LT(value.size(), 127u);
  return std::string("\x40\x01x") + static_cast<char>(value.size()) + std::string(value);
}
constexpr std::string_view kNewest = "\xbe";
constexpr std::string_view kSecondNewest = "\xbf";

TEST_F(ConformanceTest, EntriesOfTheTableMayBeThereTwice) {
  start_both();
  auto client = connect_h2();
  const std::string usual = h2::section(H2Client::request_fields({}));
  const std::uint32_t stream = client->take_stream();
  ASSERT_TRUE(client->send(h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, stream,
                                     usual + entering("one") + entering("one") +
                                         std::string(kNewest) + std::string(kSecondNewest))));
  EXPECT_EQ(client->finish(stream).status, 200);
  EXPECT_EQ(blue_.requests().at(0).fields.all("x"), std::vector<std::string>(4, "one"));
}

TEST_F(ConformanceTest, AnEntryLargerThanTheTableEmptiesIt) {
  start_both();
  const std::string usual = h2::section(H2Client::request_fields({}));
  // 5,000 bytes are within the limits of a field line, and beyond the table (4,096).
  const std::string large = std::string("\x40\x01x\x7f\x89\x26") + std::string(5'000, 'y');
  auto client = connect_h2();
  const auto ask = [&](const std::string& more) {
    const std::uint32_t stream = client->take_stream();
    EXPECT_TRUE(client->send(
        h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, stream, usual + more)));
    return client->finish(stream);
  };
  EXPECT_EQ(ask(entering("one")).status, 200);
  EXPECT_EQ(ask(std::string(kNewest)).status, 200);
  // It is no error, and no entry.
  EXPECT_EQ(ask(large).status, 200);
  EXPECT_EQ(blue_.requests().back().fields.get("x"), std::string(5'000, 'y'));
  EXPECT_EQ(ask(entering("two")).status, 200) << "the table is used on";
  EXPECT_EQ(ask(std::string(kNewest)).status, 200);
  EXPECT_EQ(blue_.requests().back().fields.get("x"), "two");
  // There is nothing behind the newest: what was there before has gone.
  EXPECT_EQ(ask(std::string(kSecondNewest)).status, 0);
  ASSERT_TRUE(client->wait_until([&] { return client->go_away().has_value(); }));
  EXPECT_EQ(client->go_away()->code, +h2::kCompressionError);
}

}  // namespace
}  // namespace sluice::integration
