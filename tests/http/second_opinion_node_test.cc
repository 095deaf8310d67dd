// The codec's verdicts beside those of Node's parser, on some thousands of messages a few changes
// away from good ones. What this codec takes, Node must take, and read in the same way; what it
// refuses and Node takes is counted by reason, and docs/conformance.md must give grounds for each.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/h1_body_decoder.h"
#include "proxy/http/h1_head_parser.h"
#include "proxy/http/path.h"
#include "tests/harness/net.h"

namespace sluice::http {
namespace {

using nlohmann::json;
using std::string_literals::operator""s;

constexpr int kMutants = 6000;  // of requests, and again of responses
constexpr std::uint64_t kSeed = 20'261'121;

// --- What is judged ------------------------------------------------------------------------------

const std::vector<std::string> kGoodRequests = {
    "GET /a/b?c=d HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HEAD http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: h:8080\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 11\r\n\r\nhello world",
    "PUT /u HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    "POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    "a;q=\"x y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
    "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"
    "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
    "DELETE /d HTTP/1.1\r\nHost: h\r\nCookie: a=b; c=d\r\nX-Long: some words, and more\r\n\r\n"
    "PATCH /e HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\nUser-Agent: x/1.0 (y; z)\r\n\r\n",
};

const std::vector<std::string> kGoodResponses = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: "
    "0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
    "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "HTTP/1.1 500 \r\nConnection: close\r\nContent-Length: 4\r\n\r\noops",
};

// Lines that have split readers before.
const std::vector<std::string> kLines = {
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: +5",
    "Content-Length: -1",
    "Content-Length: 5, 5",
    "Content-Length: 5,6",
    "Content-Length: 0x5",
    "Content-Length: 5 5",
    "Content-Length:5",
    "Content-Length: 05",
    "Content-Length: ",
    "Content-Length : 5",
    "Content-Length: 18446744073709551621",
    "content-length: 5",
    "Content_Length: 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;a=b",
    "Transfer-Encoding:",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:\x0b"
    "chunked",
    "Transfer-Encoding: chunk\r\n ed",
    "Transfer-Encoding: cow",
    " Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X:\r\n folded",
    "Host: h",
    "Host: other",
    "Host:",
    "Host: a b",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: Content-Length",
    "Connection: x, close",
    "Expect: 100-continue",
    "Expect: magic",
    "Upgrade: h2c",
    "TE: trailers",
    "X: \x01",
    "X: \x7f",
    "X: a\x1b[0m",
    "X: \xff",
    "X: a\rb",
    "X:",
    ":",
    "X",
    "X y: z",
    "X(: y",
    "",
};

// Bytes that mean something to somebody.
const std::string kBytes =
    "\0\x01\t\n\x0b\x0c\r\x1b !\"#%()+,-./0159:;<=>?@AZ[\\]_`afgz{}\x7f\x80\xff"s;

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& good) : good_(good) {}

  std::string next() {
    std::string text = pick(good_);
    const std::size_t changes = 1 + below(3);
    for (std::size_t count = 0; count < changes; ++count) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }
  char byte() {
    return below(8) == 0 ? static_cast<char>(below(256)) : kBytes[below(kBytes.size())];
  }

  // Where a line begins; the position behind the last line end counts.
  std::size_t line_begin(const std::string& text) {
    std::vector<std::size_t> begins{0};
    for (std::size_t at = 0; (at = text.find("\r\n", at)) != std::string::npos;) {
      begins.push_back(at += 2);
    }
    return begins[below(begins.size())];
  }

  void change(std::string& text) {
    const std::size_t at = below(text.size() + 1);
    switch (below(10)) {
      case 0:
      case 1:
        text.insert(at, 1, byte());
        return;
      case 2:
        if (at < text.size()) text[at] = byte();
        return;
      case 3:
        text.erase(at, 1 + below(3) / 2);
        return;
      case 4: {
        const std::size_t begin = line_begin(text);
        const std::size_t end = text.find("\r\n", begin);
        if (end != std::string::npos) text.insert(begin, text.substr(begin, end + 2 - begin));
        return;
      }
      case 5: {
        const std::size_t begin = line_begin(text);
        const std::size_t end = text.find("\r\n", begin);
        if (end != std::string::npos) text.erase(begin, end + 2 - begin);
        return;
      }
      case 6:
      case 7:
        text.insert(line_begin(text), pick(kLines) + "\r\n");
        return;
      case 8: {
        const std::size_t begin = line_begin(text);
        if (begin < 2) return;
        const std::string ends[] = {"\n", "\r", "\r\r\n", "\n\n", " \r\n", "\t\r\n", "\r\n "};
        text.replace(begin - 2, 2, ends[below(std::size(ends))]);
        return;
      }
      default:
        text += pick(good_);
        return;
    }
  }

  const std::vector<std::string>& good_;
  std::mt19937_64 random_{kSeed};
};

std::vector<std::string> cases_from(const std::vector<std::string>& good) {
  std::vector<std::string> cases = good;
  for (const std::string& text : good) {
    const std::size_t first_line = text.find("\r\n") + 2;
    for (const std::string& line : kLines) {
      cases.push_back(text.substr(0, first_line) + line + "\r\n" + text.substr(first_line));
    }
  }
  Mutator mutator(good);
  for (int count = 0; count < kMutants; ++count) cases.push_back(mutator.next());
  return cases;
}

// --- The verdicts --------------------------------------------------------------------------------

struct Message {
  std::string method;  // of a request
  int status = 0;      // of a response
  std::string target;
  std::string body;
  std::size_t fields = 0;
};

struct Verdict {
  std::vector<Message> messages;  // those that are whole
  std::string error;              // why nothing more was read; "": the bytes ended
  bool last_closes = false;       // what follows belongs to nobody
};

// False: the stream is over or broken. Appends the body's data.
bool take_body(BodyLength length, MessageSide side, std::string_view& rest, std::string& data,
               std::string& error) {
  H1BodyDecoder decoder(HeadLimits{}, side);
  decoder.begin(length);
  for (;;) {
    const H1BodyDecoder::Result result = decoder.consume(as_bytes(rest));
    rest.remove_prefix(result.consumed);
    data += as_text(result.data);
    if (result.status == H1BodyDecoder::Status::data) continue;
    if (result.status == H1BodyDecoder::Status::error) error = result.error.reason;
    if (result.status == H1BodyDecoder::Status::need_more) return decoder.finish();
    return result.status == H1BodyDecoder::Status::done;
  }
}

Verdict our_verdict_on_requests(std::string_view rest) {
  Verdict verdict;
  H1RequestParser parser{HeadLimits{}};
  while (!verdict.last_closes) {
    parser.reset();
    RequestHead head;
    const HeadResult result = parser.consume(as_bytes(rest), head);
    if (result.status == HeadStatus::error) verdict.error = result.error.reason;
    if (result.status != HeadStatus::done) break;
    rest.remove_prefix(result.consumed);
    std::string data;
    const bool tunnel = head.asks_for_tunnel();
    if (!tunnel && !take_body(head.body, MessageSide::request, rest, data, verdict.error)) break;
    verdict.messages.push_back({head.method_text, 0, head.target, data, head.fields.size()});
    verdict.last_closes = !head.keep_alive || tunnel;
  }
  return verdict;
}

// The answer to one GET.
Verdict our_verdict_on_responses(std::string_view rest) {
  Verdict verdict;
  H1ResponseParser parser{HeadLimits{}};
  while (!verdict.last_closes) {
    parser.reset(Method::get);
    ResponseHead head;
    const HeadResult result = parser.consume(as_bytes(rest), head);
    if (result.status == HeadStatus::error) verdict.error = result.error.reason;
    if (result.status != HeadStatus::done) break;
    rest.remove_prefix(result.consumed);
    std::string data;
    if (!take_body(head.body, MessageSide::response, rest, data, verdict.error)) break;
    verdict.messages.push_back({"", head.status, "", data, head.fields.size()});
    verdict.last_closes = !head.is_interim();
  }
  return verdict;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    unsigned word = 0;
    for (std::size_t byte = 0; byte < 3; ++byte) {
      word = word << 8 |
             (at + byte < bytes.size() ? static_cast<unsigned char>(bytes[at + byte]) : 0u);
    }
    for (std::size_t digit = 0; digit < 4; ++digit) {
      text += at + digit <= bytes.size() ? kDigits[word >> (18 - 6 * digit) & 63] : '=';
    }
  }
  return text;
}

std::vector<json> ask_node(const char* side, const std::vector<std::string>& cases) {
  const harness::TempDir directory;
  std::string lines;
  for (const std::string& text : cases) lines += base64(text) + "\n";
  harness::write_file(directory.file("cases"), lines);
  const std::string command = "node '" SLUICE_SOURCE_DIR "/tests/harness/node_judge.js' "s + side +
                              " < '" + directory.file("cases") + "' > '" +
                              directory.file("verdicts") + "'";
  EXPECT_EQ(std::system(command.c_str()), 0) << "needs node in PATH: .ci/packages check";
  std::vector<json> verdicts;
  std::istringstream answer(harness::read_file(directory.file("verdicts")));
  for (std::string line; std::getline(answer, line);) verdicts.push_back(json::parse(line));
  return verdicts;
}

// --- The comparison ------------------------------------------------------------------------------

std::string escaped(std::string_view bytes) {
  return json(std::string(bytes)).dump(-1, ' ', true, json::error_handler_t::replace);
}

struct Tally {
  std::map<std::string, int> stricter;  // our reason → cases that Node takes
  int alike = 0;
  int unknown_methods = 0;
};

// True if both read the same message. Node gives targets as they came.
bool same(const Message& ours, const json& theirs) {
  if (ours.fields != theirs["fields"] || base64(ours.body) != theirs["body"]) return false;
  if (!theirs.contains("method")) return ours.status == theirs["status"];
  std::string target = theirs["target"];
  if (target.starts_with('/')) normalize_target(method_from(ours.method), target);
  const bool comparable = target.starts_with('/') || target == "*";
  return ours.method == theirs["method"] && (!comparable || ours.target == target);
}

void compare(const std::string& text, const Verdict& ours, const json& theirs, Tally& tally) {
  const json& messages = theirs["messages"];
  for (std::size_t index = 0; index < ours.messages.size(); ++index) {
    if (index >= messages.size()) {
      // Methods are an open set (RFC 9110 §16.1), of which Node knows some thirty.
      if (theirs["error"] == "HPE_INVALID_METHOD") {
        ++tally.unknown_methods;
      } else {
        ADD_FAILURE() << "laxer than Node (" << theirs["error"] << "): " << escaped(text);
      }
      return;
    }
    if (!same(ours.messages[index], messages[index])) {
      ADD_FAILURE() << "read otherwise by Node: " << messages[index] << ": " << escaped(text);
      return;
    }
  }
  const bool node_has_more = messages.size() > ours.messages.size();
  if (ours.last_closes || !node_has_more) {
    ++tally.alike;
  } else if (ours.error.empty()) {
    ADD_FAILURE() << "Node finds an end where we do not: " << escaped(text);
  } else {
    ++tally.stricter[ours.error];
  }
}

void expect_never_laxer(const char* side, const std::vector<std::string>& good,
                        Verdict (*our_verdict)(std::string_view)) {
  const std::vector<std::string> cases = cases_from(good);
  const std::vector<json> verdicts = ask_node(side, cases);
  ASSERT_EQ(verdicts.size(), cases.size());
  Tally tally;
  for (std::size_t index = 0; index < cases.size(); ++index) {
    compare(cases[index], our_verdict(cases[index]), verdicts[index], tally);
  }
  std::cout << cases.size() << " " << side << ": " << tally.alike << " judged alike, "
            << tally.unknown_methods << " with methods that Node doesn't know\n";
  const std::string document = harness::read_file(SLUICE_SOURCE_DIR "/docs/conformance.md");
  for (const auto& [reason, count] : tally.stricter) {
    std::cout << count << " refused here alone: " << reason << "\n";
    EXPECT_NE(document.find("| `" + reason + "` |"), std::string::npos)
        << "docs/conformance.md gives no grounds for: " << reason;
  }
  EXPECT_GT(tally.alike, kMutants / 2);
}

TEST(SecondOpinionOfNode, NoRequestIsTakenThatNodeRefuses) {
  expect_never_laxer("requests", kGoodRequests, our_verdict_on_requests);
}

TEST(SecondOpinionOfNode, NoResponseIsTakenThatNodeRefuses) {
  expect_never_laxer("responses", kGoodResponses, our_verdict_on_responses);
}

}  // namespace
}  // namespace sluice::http
