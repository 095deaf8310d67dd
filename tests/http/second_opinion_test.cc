// What leaves the proxy, read by a parser that shares nothing with the proxy's own: whatever single
// byte of a message is lost, changed or added, it is refused, or goes on in a form beyond reproach.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/http/forwarding.h"
#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_head_parser.h"
#include "proxy/http/h1_writer.h"
#include "tests/harness/strict_parser.h"

namespace sluice::http {
namespace {

using harness::StrictParser;

const std::string_view kRequests[] = {
    "GET /a?b HTTP/1.1\r\nHost: h\r\nA: b c\r\nConnection: A, te\r\nTE: trailers\r\n\r\n",
    "POST /%41 HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
    "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "GET http://h/x HTTP/1.0\r\nConnection: keep-alive\r\nX-Forwarded-For: a\r\n\r\n",
};

const std::string_view kResponses[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X\r\nX: y\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nhello",
};

// Calls f with `text` and with each message that is one byte away from it.
void for_each_neighbour(std::string_view text, const std::function<void(const std::string&)>& f) {
  constexpr std::string_view kBytes{" \t\r\n\0\x7f\x80:;,0\"#\x0b+-x_%", 19};
  f(std::string(text));
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const std::string before(text.substr(0, at));
    const std::string_view after = text.substr(at);
    if (!after.empty()) f(before + std::string(after.substr(1)));
    for (const char byte : kBytes) {
      f(before + byte + std::string(after));
      if (!after.empty()) f(before + byte + std::string(after.substr(1)));
    }
  }
}

// The body behind a head, written for `framing`; nullopt if it was refused or cut short.
std::optional<std::string> rewritten_body(std::string_view text, BodyLength length,
                                          BodyLength framing, std::string& data) {
  H1BodyDecoder decoder(HeadLimits{}, MessageSide::request);
  decoder.begin(length);
  for (;;) {
    const auto result = decoder.consume(as_bytes(text));
    text.remove_prefix(result.consumed);
    data += as_text(result.data);
    if (result.status != H1BodyDecoder::Status::data) break;
  }
  if (!decoder.finish()) return {};
  if (framing.kind != BodyLength::Kind::chunked) return data;
  std::string out;
  if (!data.empty()) {
    write_chunk_header(out, data.size());
    out.append(data).append(kChunkEnd);
  }
  write_last_chunk(out, decoder.trailers());
  return out;
}

// Reads one message and nothing behind it; its body must be `data`.
void expect_beyond_reproach(StrictParser& parser, std::string_view text, const std::string& data) {
  std::string read;
  std::string_view rest = text;
  for (;;) {
    switch (parser.next(rest)) {
      case StrictParser::Event::head:
        continue;
      case StrictParser::Event::body:
        read += parser.body_part();
        continue;
      case StrictParser::Event::need_more:
        EXPECT_EQ(parser.end_of_stream(), StrictParser::Event::complete) << text;
        break;
      case StrictParser::Event::failed:
        ADD_FAILURE() << parser.error() << " in: " << text;
        return;
      case StrictParser::Event::complete:
        break;
    }
    break;
  }
  EXPECT_EQ(rest, "") << text;
  EXPECT_EQ(read, data) << text;
}

TEST(SecondOpinion, EveryForwardedRequestIsStrict) {
  int forwarded = 0;
  for (const std::string_view message : kRequests) {
    for_each_neighbour(message, [&](const std::string& text) {
      H1RequestParser parser{HeadLimits{}};
      RequestHead head;
      const HeadResult result = parser.consume(as_bytes(text), head);
      if (result.status != HeadStatus::done || answered_here(head)) return;
      std::string data;
      const auto body = rewritten_body(std::string_view(text).substr(result.consumed), head.body,
                                       head.body, data);
      if (!body) return;
      std::string out;
      write_forwarded_request(out, head, {.client_address = "::1", .default_host = "h"}, head.body);
      out += *body;
      StrictParser second(StrictParser::Kind::request);
      expect_beyond_reproach(second, out, data);
      ++forwarded;
    });
  }
  EXPECT_GT(forwarded, 1000);
}

TEST(SecondOpinion, EveryForwardedResponseIsStrict) {
  int forwarded = 0;
  for (const std::string_view message : kResponses) {
    for_each_neighbour(message, [&](const std::string& text) {
      H1ResponseParser parser{HeadLimits{}};
      parser.reset(Method::get);
      ResponseHead head;
      const HeadResult result = parser.consume(as_bytes(text), head);
      if (result.status != HeadStatus::done || head.is_interim()) return;
      for (const Version version : {Version::http_1_0, Version::http_1_1}) {
        RequestHead request;
        request.version = version;
        const ClientFraming framing =
            frame_for_client(request, head, true, "Sun, 06 Nov 1994 08:49:37 GMT");
        std::string data;
        const auto body = rewritten_body(std::string_view(text).substr(result.consumed), head.body,
                                         framing.body, data);
        if (!body) continue;
        std::string out;
        write_forwarded_response(out, head, framing);
        out += *body;
        StrictParser second(StrictParser::Kind::response);
        second.set_request_method("GET");
        expect_beyond_reproach(second, out, data);
        ++forwarded;
      }
    });
  }
  EXPECT_GT(forwarded, 1000);
}

}  // namespace
}  // namespace sluice::http
