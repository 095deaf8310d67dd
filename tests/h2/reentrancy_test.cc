// What handlers may do while they are called: everything that the header says, at every place.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/h2/endpoint.h"

namespace sluice::h2 {
namespace {

namespace wire = harness::h2;
using testing::Contains;

const Pairs kPost{{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}};

std::string request(std::uint32_t id, bool end) {
  Fields fields = get_request();
  fields.lines[0].second = "POST";
  return wire::headers(id, fields, end);
}

// A request that passes through every kind of event, and another behind it.
std::string whole_exchange() {
  return request(1, false) + wire::data(1, "some") + wire::data(1, "more", true) + request(3, true);
}

struct Action {
  const char* name;
  void (*act)(Endpoint&, Endpoint::Heard&);
};

const Action kServerActions[] = {
    {"reset", [](Endpoint&, Endpoint::Heard& h) { h.stream->reset(ErrorCode::cancel); }},
    {"reset twice",
     [](Endpoint&, Endpoint::Heard& h) {
       h.stream->reset(ErrorCode::cancel);
       h.stream->reset(ErrorCode::internal_error);
     }},
    {"let go", [](Endpoint&, Endpoint::Heard& h) { h.stream->set_handler(nullptr); }},
    {"let go and reset",
     [](Endpoint&, Endpoint::Heard& h) {
       h.stream->set_handler(nullptr);
       h.stream->reset(ErrorCode::cancel);
     }},
    {"answer whole",
     [](Endpoint&, Endpoint::Heard& h) {
       h.stream->send_response(section_of({{":status", "200"}}), false);
       h.stream->send_data(as_bytes("answer"));
       h.stream->send_end({});
     }},
    {"answer and let go",
     [](Endpoint&, Endpoint::Heard& h) {
       h.stream->send_response(section_of({{":status", "200"}}), true);
       h.stream->set_handler(nullptr);
     }},
    {"answer and reset",
     [](Endpoint&, Endpoint::Heard& h) {
       h.stream->send_response(section_of({{":status", "200"}}), false);
       h.stream->send_data(as_bytes("answer"));
       h.stream->reset(ErrorCode::internal_error);
       h.stream->send_data(as_bytes("nothing"));
       h.stream->send_end({});
       h.stream->notify_when_below(10);
       h.stream->pause();
       h.stream->resume();
     }},
    {"pause and resume",
     [](Endpoint&, Endpoint::Heard& h) {
       h.stream->pause();
       h.stream->resume();
     }},
    {"pause", [](Endpoint&, Endpoint::Heard& h) { h.stream->pause(); }},
    {"watch", [](Endpoint&, Endpoint::Heard& h) { h.stream->notify_when_below(0); }},
    {"lose the connection", [](Endpoint& e, Endpoint::Heard&) { e.session.on_connection_lost(); }},
    {"announce the end", [](Endpoint& e, Endpoint::Heard&) { e.session.announce_go_away(); }},
    {"go away", [](Endpoint& e, Endpoint::Heard&) { e.session.go_away(); }},
    {"reset the other",
     [](Endpoint& e, Endpoint::Heard& h) {
       if (h.id == 3 && e.stream(1).stream) e.stream(1).stream->reset(ErrorCode::cancel);
     }},
};

TEST(H2Reentrancy, ServersHandlersMayDoAnythingAnywhere) {
  for (const Action& action : kServerActions) {
    for (const std::string_view where : {"request", "data", "end", "writable"}) {
      for (const bool bytewise : {false, true}) {
        Endpoint server;
        server.greet();
        bool done = false;
        server.during = [&](Endpoint::Heard& heard, std::string_view event) {
          if (where == "writable" && event == "request") heard.stream->notify_when_below(0);
          if (event != where || done || !heard.stream) return;
          done = true;
          action.act(server, heard);
          if (action.name == std::string_view("reset")) heard.stream = nullptr;
        };
        const std::string text = whole_exchange();
        if (bytewise) {
          for (const char c : text) server.take(std::string_view(&c, 1));
        } else {
          server.take(text);
        }
        EXPECT_TRUE(done) << action.name << " in " << where;
        server.during = nullptr;
        // Whatever was done, the next request is served, unless the connection was ended.
        const bool ended = action.name == std::string_view("lose the connection") ||
                           action.name == std::string_view("go away");
        server.events();
        EXPECT_EQ(server.take(request(5, true)),
                  action.name != std::string_view("lose the connection"))
            << action.name << " in " << where;
        EXPECT_EQ(server.events().find("request 5") == std::string::npos, ended)
            << action.name << " in " << where;
      }
    }
  }
}

TEST(H2Reentrancy, ResetWithinItsOwnClosingDoesNothing) {
  Endpoint server;
  server.greet();
  server.take(request(1, false));
  Stream* const stream = server.stream(1).stream;
  server.during = [&](Endpoint::Heard&, std::string_view event) {
    if (event != "closed") return;
    stream->reset(ErrorCode::cancel);
    stream->send_data(as_bytes("x"));
    stream->set_handler(nullptr);
  };
  EXPECT_TRUE(server.take(wire::reset(1, 8)));
  EXPECT_EQ(server.session.streams(), 0u);
}

TEST(H2Reentrancy, ClientAsksAgainWithinEveryEvent) {
  for (const std::string_view where : {"head", "data", "end", "closed", "writable"}) {
    Endpoint client(Endpoint::client_options());
    client.greet();
    bool asked = false;
    client.during = [&](Endpoint::Heard&, std::string_view event) {
      if (event != where || asked) return;
      asked = true;
      client.ask(kPost);
    };
    Endpoint::Heard& heard = client.ask(kPost, false);
    heard.stream->notify_when_below(0);
    heard.stream->send_end({});
    client.settle();
    client.take(wire::headers(1, fields_of({{":status", "200"}}), false) + wire::data(1, "x") +
                wire::data(1, "y", true));
    EXPECT_TRUE(asked) << where;
    EXPECT_THAT(client.frames(), Contains(testing::StartsWith("HEADERS 3 [:method|POST]")))
        << where;
    EXPECT_EQ(heard.closed, "whole");
  }
}

TEST(H2Reentrancy, ClientCancelsWithinEveryEvent) {
  for (const std::string_view where : {"head", "data", "end"}) {
    Endpoint client(Endpoint::client_options());
    client.greet();
    client.during = [&](Endpoint::Heard& heard, std::string_view event) {
      if (event != where || !heard.stream) return;
      heard.stream->reset(ErrorCode::cancel);
      heard.stream = nullptr;
    };
    Endpoint::Heard& heard = client.ask(kPost, false);
    client.settle();
    EXPECT_TRUE(client.take(wire::headers(1, fields_of({{":status", "200"}}), false) +
                            wire::data(1, "x") + wire::data(1, "y", true)))
        << where;
    EXPECT_EQ(heard.closed, "") << where;
    EXPECT_EQ(client.session.streams(), 0u) << where;
  }
}

TEST(H2Reentrancy, RefusedRequestIsAnsweredOrReset) {
  Endpoint server;
  server.greet();
  server.answer_refused = false;
  EXPECT_TRUE(server.take(wire::headers(1, get_request("/a#b"), true)));
  EXPECT_THAT(server.frames(), Contains("RST_STREAM 1 CANCEL"));
  EXPECT_EQ(server.session.streams(), 0u);
}

// One who always has news again doesn't hold the turn.
TEST(H2Reentrancy, DeliveryEnds) {
  Endpoint server;
  server.greet();
  server.during = [](Endpoint::Heard& heard, std::string_view event) {
    if (event == "writable" || event == "request") heard.stream->notify_when_below(100);
  };
  server.take(request(1, false));
  const int before = server.stream(1).writable;
  server.session.deliver();
  EXPECT_EQ(server.stream(1).writable, before + 1);
}

// Recycled streams begin anew.
TEST(H2Reentrancy, StreamsAreUsedAgainWithoutAMemory) {
  Endpoint server;
  server.greet();
  for (std::uint32_t id = 1; id < 2000; id += 2) {
    ASSERT_TRUE(server.take(request(id, false)));
    Endpoint::Heard& heard = server.stream(static_cast<std::int32_t>(id));
    EXPECT_EQ(heard.stream->buffered(), 0u);
    switch (id / 2 % 4) {
      case 0:
        heard.stream->pause();
        server.take(wire::data(id, "x"));
        heard.stream->reset(ErrorCode::cancel);
        break;
      case 1:
        heard.stream->send_response(section_of({{":status", "200"}}), false);
        heard.stream->send_data(as_bytes(std::string(100'000, 'x')));
        server.take(wire::reset(id, 8));
        EXPECT_THAT(heard.closed, testing::StartsWith("CANCEL by peer"));
        break;
      case 2:
        server.answer(static_cast<std::int32_t>(id), "x");
        server.settle();
        EXPECT_EQ(heard.closed, "whole");
        break;
      default:
        server.take(wire::data(id, "y", true));
        server.answer(static_cast<std::int32_t>(id), "", "204");
        server.settle();
        EXPECT_EQ(heard.closed, "whole");
        break;
    }
    server.settle();
    server.raw_frames();
    server.now += std::chrono::seconds(1);
    ASSERT_EQ(server.session.streams(), 0u) << id;
  }
}

}  // namespace
}  // namespace sluice::h2
