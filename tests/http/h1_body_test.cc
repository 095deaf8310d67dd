#include <string>

#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_writer.h"
#include "tests/http/split_verdict.h"

namespace sluice::http {
namespace {

using Kind = BodyLength::Kind;
using std::string_literals::operator""s;

std::string verdict(std::string_view text, const HeadLimits& limits = {},
                    BodyLength length = {Kind::chunked}) {
  return verdict_however_split(text, [&](const auto& pieces) {
    return body_verdict(pieces, length, MessageSide::request, limits);
  });
}

struct Case {
  std::string text;
  std::string verdict;
};

TEST(H1Body, KnownLengthEndsToTheByte) {
  EXPECT_EQ(verdict("hello, and more", {}, {Kind::known, 5}), "'hello' done after 5 ");
  EXPECT_EQ(verdict("hell", {}, {Kind::known, 5}), "'hell' need_more");
  EXPECT_EQ(verdict("x", {}, {Kind::known, 0}), "'' done after 0 ");
  EXPECT_EQ(verdict("x", {}, {Kind::none}), "'' done after 0 ");
  EXPECT_EQ(verdict("all\r\n\r\nof it", {}, {Kind::until_close}), "'all\r\n\r\nof it' need_more");
}

TEST(H1Body, ChunksThatAreAccepted) {
  const Case cases[] = {
      {"0\r\n\r\n", "'' done after 5 "},
      {"5\r\nhello\r\n0\r\n\r\nGET", "'hello' done after 15 "},
      {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "'hello world' done after 26 "},
      {"A\r\n0123456789\r\n000\r\n\r\n", "'0123456789' done after 22 "},
      {"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", "'\r\n\r\n\r\n\r\n\r\n' done after 20 "},
      {"0000000000000001\r\nx\r\n0\r\n\r\n", "'x' done after 26 "},
      {"1;a\r\nx\r\n0;b=c\r\n\r\n", "'x' done after 17 "},
      {"1;a=\"q;\\\"\\\\ \";b\r\nx\r\n0\r\n\r\n", "'x' done after 25 "},
      {"1;a=\"\";b=c;d\r\nx\r\n0\r\n\r\n", "'x' done after 22 "},
      {"0\r\nX-Sum: 1\r\nserver-timing: a\r\n\r\n", "'' done after 33 [X-Sum|1][server-timing|a]"},
  };
  for (const Case& c : cases) EXPECT_EQ(verdict(c.text), c.verdict) << c.text;
}

TEST(H1Body, ChunksThatAreRefused) {
  const Case cases[] = {
      {"\r\n", "'' 400 malformed chunk size"},
      {"x\r\n", "'' 400 malformed chunk size"},
      {"-1\r\n", "'' 400 malformed chunk size"},
      {"+1\r\nx", "'' 400 malformed chunk size"},
      {" 1\r\nx", "'' 400 malformed chunk size"},
      {"1 \r\nx", "'' 400 malformed chunk size"},
      {"1\t\r\nx", "'' 400 malformed chunk size"},
      {"1 2\r\nx", "'' 400 malformed chunk size"},
      {"0x1\r\nx", "'' 400 malformed chunk size"},
      {"1_0\r\nx", "'' 400 malformed chunk size"},
      {"1,\r\nx", "'' 400 malformed chunk size"},
      {"1\0\r\nx"s, "'' 400 malformed chunk size"},
      {"1g\r\nx", "'' 400 malformed chunk size"},
      {"\xef\xbc\x91\r\nx", "'' 400 malformed chunk size"},
      {"1\r\r\nx", "'' 400 malformed chunk size"},
      {"00000000000000001\r\nx", "'' 400 chunk size too long"},
      {"10000000000000000\r\nx", "'' 400 chunk size too long"},
      {"8000000000000000\r\nx", "'' 400 chunk size too large"},
      {"ffffffffffffffff\r\nx", "'' 400 chunk size too large"},
      {"1\nx", "'' 400 bare LF after chunk size"},
      {"1;a\nx\r\n0\r\n\r\n", "'' 400 bare LF after chunk size"},
      {"1;\r\nx", "'' 400 malformed chunk extension"},
      {"1;a;\r\nx", "'' 400 malformed chunk extension"},
      {"1;a=\r\nx", "'' 400 malformed chunk extension"},
      {"1;=b\r\nx", "'' 400 malformed chunk extension"},
      {"1;a=\"b\r\nx", "'' 400 malformed chunk extension"},
      {"1;a=\"b\\\r\nx", "'' 400 malformed chunk extension"},
      {"1;a=\"b\"c\r\nx", "'' 400 malformed chunk extension"},
      {"1;a b\r\nx", "'' 400 malformed chunk extension"},
      {"1;a \r\nx", "'' 400 malformed chunk extension"},
      {"1 ;a\r\nx", "'' 400 malformed chunk extension"},
      {"1\t;a\r\nx", "'' 400 malformed chunk extension"},
      {"1; a\r\nx", "'' 400 malformed chunk extension"},
      {"1;a =b\r\nx", "'' 400 malformed chunk extension"},
      {"1;a= b\r\nx", "'' 400 malformed chunk extension"},
      {"1;a=b \r\nx", "'' 400 malformed chunk extension"},
      {"1;a;;b\r\nx", "'' 400 malformed chunk extension"},
      {"1;a\r;b\r\nx", "'' 400 malformed chunk extension"},
      {"1;a=\"\0\"\r\nx"s, "'' 400 malformed chunk extension"},
      {"1\r\nxy\r\n", "'x' 400 no CRLF after chunk data"},
      {"1\r\nx\n0\r\n\r\n", "'x' 400 no CRLF after chunk data"},
      {"1\r\nx\r0\r\n\r\n", "'x' 400 no CRLF after chunk data"},
      {"1\r\nx0\r\n\r\n", "'x' 400 no CRLF after chunk data"},
      {"1\r\nx\r\n\r\n", "'x' 400 malformed chunk size"},
      {"0\r\n\n", "'' 400 bare LF in trailers"},
      {"0\r\na: b\n\r\n", "'' 400 bare LF in trailers"},
      {"0\r\n a: b\r\n\r\n", "'' 400 line begins with white space (obs-fold)"},
      {"0\r\na : b\r\n\r\n", "'' 400 white space before colon"},
      {"0\r\nGET / HTTP/1.1\r\n\r\n", "'' 400 white space before colon"},
  };
  for (const Case& c : cases) EXPECT_EQ(verdict(c.text), c.verdict) << c.text;
}

TEST(H1Body, TrailersCarryNothingThatBelongsInAHead) {
  for (const char* name : {"Transfer-Encoding",
                           "content-length",
                           "Host",
                           "Connection",
                           "TE",
                           "Trailer",
                           "Upgrade",
                           "Keep-Alive",
                           "Authorization",
                           "Proxy-Authorization",
                           "Cookie",
                           "Set-Cookie",
                           "Content-Type",
                           "Content-Encoding",
                           "Content-Range",
                           "Expect",
                           "Max-Forwards",
                           "Cache-Control",
                           "Forwarded",
                           "X-Forwarded-For",
                           "X-Request-Id",
                           "Via",
                           "x-forwarded-port",
                           "X-Forwarded-",
                           "X-Real-IP",
                           "X-Original-URL",
                           "Proxy-Connection",
                           "proxy-user",
                           "Range",
                           "If-None-Match",
                           "Pragma",
                           "Accept-Encoding"}) {
    EXPECT_EQ(verdict("0\r\n" + std::string(name) + ": x\r\n\r\n"),
              "'' 400 forbidden trailer field")
        << name;
  }
}

TEST(H1Body, EachBoundOnFramingHolds) {
  const HeadLimits limits{.field_line_bytes = 8, .head_bytes = 24, .field_count = 2};
  EXPECT_EQ(verdict("0\r\na:345678\r\n\r\n", limits), "'' done after 15 [a|345678]");
  EXPECT_EQ(verdict("0\r\na:3456789\r\n\r\n", limits), "'' 431 field line too long");
  EXPECT_EQ(verdict("0\r\na:34567890", limits), "'' 431 field line too long");
  EXPECT_EQ(verdict("0\r\na:\r\nb:\r\nc:\r\n\r\n", limits), "'' 431 too many fields");
  EXPECT_EQ(verdict("0\r\na:345678\r\nb:345678\r\n\r\n", {.head_bytes = 22}),
            "'' done after 25 [a|345678][b|345678]");
  EXPECT_EQ(verdict("0\r\na:345678\r\nb:345678\r\n\r\n", {.head_bytes = 21}),
            "'' 431 fields too long in all");

  const std::string longest(H1BodyDecoder::kChunkLineBytesMax - 2, 'a');
  EXPECT_EQ(body_verdict({"0;" + longest + "\r\n\r\n"}, {Kind::chunked}),
            "'' done after " + std::to_string(longest.size() + 6) + " ");
  EXPECT_EQ(body_verdict({"0;" + longest + "a\r\n\r\n"}, {Kind::chunked}),
            "'' 400 chunk extensions too long");
  EXPECT_EQ(body_verdict({"0;", longest, "aa"}, {Kind::chunked}),
            "'' 400 chunk extensions too long");
  std::string many;
  for (std::size_t at = 0; at <= H1BodyDecoder::kChunkExtensionBytesMax; at += 4) {
    many += "8;abc\r\n12345678\r\n";
  }
  EXPECT_TRUE(body_verdict({many}, {Kind::chunked}).ends_with("400 chunk extensions too long"));
}

TEST(H1Body, TrailersThatAreNobodysElsePass) {
  for (const char* name : {"ETag", "Content-Digest", "Server-Timing", "grpc-status", "X-Checksum",
                           "Authentication-Info", "If", "Ranges"}) {
    const std::string line = std::string(name) + ": x";
    EXPECT_EQ(verdict("0\r\n" + line + "\r\n\r\n"),
              "'' done after " + std::to_string(line.size() + 7) + " [" + name + "|x]");
  }
}

// `count` chunks of `size` bytes each, and the last one.
std::string chunks(std::size_t count, std::size_t size) {
  std::string text;
  for (std::size_t index = 0; index < count; ++index) {
    write_chunk_header(text, size);
    text.append(size, 'd').append(kChunkEnd);
  }
  return text + "0\r\n\r\n";
}

TEST(H1Body, ManyTinyChunksOfARequestAreRefused) {
  // Five bytes of framing for each byte of data: one more than is allowed, every time.
  const std::size_t most = H1BodyDecoder::kChunkFramingBytesMax - 2;
  const std::string tiny = chunks(most + 100, 1);
  EXPECT_TRUE(body_verdict({tiny}, {Kind::chunked}).ends_with("' 400 chunks too small"));
  EXPECT_TRUE(body_verdict({tiny}, {Kind::chunked}, MessageSide::response)
                  .ends_with("done after " + std::to_string(tiny.size()) + " "));
  const std::string some = chunks(most - 100, 1);
  EXPECT_TRUE(body_verdict({some}, {Kind::chunked})
                  .ends_with("done after " + std::to_string(some.size()) + " "));
  const std::string small = chunks(20'000, 2);
  EXPECT_TRUE(body_verdict({small}, {Kind::chunked})
                  .ends_with("done after " + std::to_string(small.size()) + " "));
}

TEST(H1Body, ServersErrorsAreBadGateway) {
  const std::string_view text = "x\r\n";
  EXPECT_EQ(body_verdict({text}, {Kind::chunked}, MessageSide::response),
            "'' 502 malformed chunk size");
}

// Whether finish() after these bytes says that the body is complete.
bool complete_after(std::string_view text, BodyLength length) {
  H1BodyDecoder decoder(HeadLimits{}, MessageSide::response);
  decoder.begin(length);
  for (;;) {
    const auto result = decoder.consume(as_bytes(text));
    text.remove_prefix(result.consumed);
    if (result.status != H1BodyDecoder::Status::data) return decoder.finish();
  }
}

TEST(H1Body, TruncationIsToldFromTheEnd) {
  const std::string chunked = "3\r\nabc\r\n0\r\nX: y\r\n\r\n";
  for (std::size_t size = 0; size < chunked.size(); ++size) {
    EXPECT_FALSE(complete_after(std::string_view(chunked).substr(0, size), {Kind::chunked}));
  }
  EXPECT_TRUE(complete_after(chunked, {Kind::chunked}));
  EXPECT_FALSE(complete_after("ab", {Kind::known, 3}));
  EXPECT_TRUE(complete_after("abc", {Kind::known, 3}));
  EXPECT_TRUE(complete_after("abc", {Kind::until_close}));
  EXPECT_TRUE(complete_after("", {Kind::until_close}));
  EXPECT_TRUE(complete_after("", {Kind::none}));
  EXPECT_FALSE(complete_after("x\r\n", {Kind::chunked}));
}

TEST(H1Body, DataIsAViewIntoTheInput) {
  const std::string_view input = "5\r\nhello\r\n0\r\n\r\n";
  H1BodyDecoder decoder(HeadLimits{}, MessageSide::request);
  decoder.begin({Kind::chunked});
  const auto result = decoder.consume(as_bytes(input));
  EXPECT_EQ(as_text(result.data).data(), input.data() + 3);
}

TEST(H1Body, DecoderServesOneBodyAfterAnother) {
  H1BodyDecoder decoder(HeadLimits{}, MessageSide::request);
  for (int round = 0; round < 3; ++round) {
    decoder.begin({Kind::chunked});
    EXPECT_FALSE(decoder.done());
    EXPECT_EQ(decoder.consume(as_bytes("0\r\nA: b\r\n\r\n")).status, H1BodyDecoder::Status::done);
    EXPECT_EQ(decoder.trailers().size(), 1u);
    EXPECT_EQ(decoder.framing_bytes(), 11u);
    decoder.begin({Kind::chunked});
    EXPECT_TRUE(decoder.trailers().empty());
    EXPECT_EQ(decoder.consume(as_bytes("z\r\n")).status, H1BodyDecoder::Status::error);
    EXPECT_EQ(decoder.consume(as_bytes("0\r\n\r\n")).status, H1BodyDecoder::Status::error);
  }
}

TEST(H1Body, WhatIsWrittenIsReadBack) {
  Fields trailers;
  trailers.append("X-Sum", "abc");
  for (const std::size_t size : {1u, 9u, 10u, 15u, 16u, 17u, 255u, 256u, 70'000u}) {
    const std::string data(size, 'd');
    std::string out;
    write_chunk_header(out, size);
    EXPECT_LE(out.size(), kChunkHeaderBytesMax);
    out.append(data).append(kChunkEnd);
    write_last_chunk(out, trailers);
    EXPECT_EQ(body_verdict({out}, {Kind::chunked}),
              "'" + data + "' done after " + std::to_string(out.size()) + " [X-Sum|abc]");
  }
}

}  // namespace
}  // namespace sluice::http
