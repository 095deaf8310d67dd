#include "tests/harness/h2_origin_answers.h"

#include <functional>
#include <map>

#include "tests/harness/pattern.h"

namespace sluice::harness {
namespace {

using Then = H2Answer::Then;

Fields head_of(int status, std::string_view backend) {
  Fields head;
  head.add(":status", std::to_string(status));
  head.add("x-backend", backend);
  return head;
}

H2Answer with_text(int status, const AnswerTo& to, std::string body) {
  H2Answer answer;
  answer.head = head_of(status, to.backend);
  answer.head.add("content-length", std::to_string(body.size()));
  answer.tail = std::move(body);
  return answer;
}

H2Answer with_pattern(const AnswerTo& to, std::uint64_t size, bool says_length) {
  H2Answer answer;
  answer.head = head_of(200, to.backend);
  if (says_length) answer.head.add("content-length", std::to_string(size));
  answer.pattern_size = size;
  return answer;
}

H2Answer resetting(std::uint32_t code) {
  H2Answer answer;
  answer.then = Then::reset;
  answer.code = code;
  return answer;
}

std::string default_text(const AnswerTo& to) {
  return "backend " + std::string(to.backend) + "\n";
}

H2Answer full_answer(const Behaviour& behaviour, const AnswerTo& to) {
  const std::string& name = behaviour.name;
  const std::uint64_t number = behaviour.number();
  if (name == "echo" || name == "continue") {
    H2Answer answer = with_text(200, to, std::string(to.body));
    if (!to.content_type.empty()) answer.head.add("content-type", to.content_type);
    return answer;
  }
  if (name == "bytes") return with_pattern(to, number, true);
  if (name == "chunked" || name == "until-close") return with_pattern(to, number, false);
  if (name == "truncate" || name == "truncate-chunked" || name == "cut") {
    H2Answer answer = with_pattern(to, number, name == "truncate");
    answer.pattern_size = number / 2;
    answer.then = name == "cut" ? Then::cut : Then::reset;
    return answer;
  }
  if (name == "trailers") {
    H2Answer answer = with_pattern(to, 1000, false);
    answer.head.add("trailer", "x-checksum, x-backend-time");
    answer.trailers.add("x-checksum", Digest::of(pattern(1000)));
    answer.trailers.add("x-backend-time", "7");
    return answer;
  }
  if (name == "slow") {
    H2Answer answer = with_text(200, to, default_text(to));
    const std::size_t at = behaviour.query.find("ms=");
    answer.delay =
        milliseconds(at == std::string::npos ? 0 : std::atoi(behaviour.query.c_str() + at + 3));
    return answer;
  }
  if (name == "hold") {
    H2Answer answer = with_text(200, to, default_text(to));
    answer.hold_head = true;
    return answer;
  }
  if (name == "hold-body") {
    H2Answer answer = with_pattern(to, number, true);
    answer.hold_at = number / 2;
    return answer;
  }
  if (name == "interim") {
    H2Answer answer = with_text(200, to, default_text(to));
    Fields interim;
    interim.add(":status", behaviour.value);
    interim.add("link", "</style.css>; rel=preload");
    answer.interim.push_back(interim);
    return answer;
  }
  if (name == "status" || name == "health") {
    const int status = name == "health" ? to.health_status : static_cast<int>(number);
    if (status == 204 || status == 304) {
      H2Answer answer;
      answer.head = head_of(status, to.backend);
      return answer;
    }
    return with_text(status, to, "status " + std::to_string(status) + "\n");
  }
  if (name == "early-close") return with_text(413, to, "too large\n");
  if (name == "drop") return {.then = Then::cut};
  if (name == "reset") return resetting(number == 0 ? +h2::kInternalError : std::uint32_t(number));
  if (name == "refuse") return resetting(h2::kRefusedStream);
  return with_text(200, to, default_text(to));
}

using Lines = std::vector<std::pair<std::string, std::string>>;

Fields fields_of(Lines lines) {
  return {.lines = std::move(lines)};
}

// A head that ends the stream.
std::string only_head(std::uint32_t stream, Lines lines) {
  return h2::headers(stream, fields_of(std::move(lines)), true);
}

std::string good_head(std::uint32_t stream, Lines more = {}) {
  Lines lines = {{":status", "200"}};
  lines.insert(lines.end(), more.begin(), more.end());
  return h2::headers(stream, fields_of(std::move(lines)), false);
}

std::string many(const std::string& frame, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += frame;
  return out;
}

struct Kind {
  bool late;
  std::function<std::string(std::uint32_t)> frames;
};
using Kinds = std::map<std::string, Kind, std::less<>>;

void add_bad_heads(Kinds& kinds) {
  const std::vector<std::pair<std::string, Lines>> heads = {
      {"no-status", {{"x", "y"}}},
      {"empty-section", {}},
      {"status-twice", {{":status", "200"}, {":status", "200"}}},
      {"status-late", {{"x", "y"}, {":status", "200"}}},
      {"status-short", {{":status", "20"}}},
      {"status-long", {{":status", "2000"}}},
      {"status-letters", {{":status", "2oo"}}},
      {"status-zero", {{":status", "000"}}},
      {"status-101", {{":status", "101"}}},
      {"status-space", {{":status", "200 "}}},
      {"request-pseudo", {{":status", "200"}, {":path", "/"}}},
      {"unknown-pseudo", {{":status", "200"}, {":x", "y"}}},
      {"upper-case-name", {{":status", "200"}, {"X-Up", "y"}}},
      {"empty-name", {{":status", "200"}, {"", "y"}}},
      {"space-in-name", {{":status", "200"}, {"x y", "z"}}},
      {"colon-in-name", {{":status", "200"}, {"x:y", "z"}}},
      {"crlf-in-name", {{":status", "200"}, {"x\r\ny", "z"}}},
      {"cr-in-value", {{":status", "200"}, {"x", "y\rz"}}},
      {"lf-in-value", {{":status", "200"}, {"x", "y\nz"}}},
      {"crlf-in-value", {{":status", "200"}, {"x", "y\r\nset-cookie: a=b"}}},
      {"nul-in-value", {{":status", "200"}, {"x", std::string("y\0z", 3)}}},
      {"del-in-value", {{":status", "200"}, {"x", "y\x7f"}}},
      {"connection", {{":status", "200"}, {"connection", "close"}}},
      {"keep-alive", {{":status", "200"}, {"keep-alive", "timeout=5"}}},
      {"transfer-encoding", {{":status", "200"}, {"transfer-encoding", "chunked"}}},
      {"upgrade", {{":status", "200"}, {"upgrade", "h2c"}}},
      {"length-without-data", {{":status", "200"}, {"content-length", "5"}}},
      {"negative-length", {{":status", "200"}, {"content-length", "-1"}}},
      {"two-lengths", {{":status", "200"}, {"content-length", "0"}, {"content-length", "1"}}},
      {"length-list", {{":status", "200"}, {"content-length", "0, 0"}}},
      {"huge-length", {{":status", "200"}, {"content-length", "99999999999999999999"}}},
      {"interim-that-ends", {{":status", "103"}}},
  };
  for (const auto& [name, lines] : heads) {
    kinds[name] = {.late = false,
                   .frames = [lines](std::uint32_t stream) { return only_head(stream, lines); }};
  }
  kinds["many-fields"] = {false, [](auto id) {
                            Lines lines = {{":status", "200"}};
                            lines.insert(lines.end(), 3000, {"x", "y"});
                            return only_head(id, lines);
                          }};
}

// Faults of a stream, behind a good head.
void add_bad_streams(Kinds& kinds) {
  kinds["data-beyond-length"] = {
      true, [](auto id) {
        return good_head(id, {{"content-length", "2"}}) + h2::data(id, "four", true);
      }};
  kinds["data-short-of-length"] = {
      true, [](auto id) {
        return good_head(id, {{"content-length", "9"}}) + h2::data(id, "four", true);
      }};
  for (const char* status : {"204", "304"}) {
    kinds[std::string("data-on-") + status] = {
        false, [status](auto id) {
          return h2::headers(id, fields_of({{":status", status}}), false) +
                 h2::data(id, "four", true);
        }};
  }
  kinds["data-on-length-0"] = {
      false, [](auto id) {
        return good_head(id, {{"content-length", "0"}}) + h2::data(id, "four", true);
      }};
  kinds["reset-behind-204"] = {false, [](auto id) {
                                 return h2::headers(id, fields_of({{":status", "204"}}), false) +
                                        h2::reset(id, h2::kInternalError);
                               }};
  kinds["reset-behind-head"] = {
      true, [](auto id) { return good_head(id) + h2::reset(id, h2::kInternalError); }};
  kinds["pseudo-in-trailers"] = {
      true, [](auto id) {
        return good_head(id) + h2::data(id, "x") + only_head(id, {{":status", "200"}});
      }};
  kinds["bad-name-in-trailers"] = {
      true, [](auto id) {
        return good_head(id) + h2::data(id, "x") + only_head(id, {{"X-Up", "1"}});
      }};
  kinds["lf-in-trailers"] = {
      true, [](auto id) {
        return good_head(id) + h2::data(id, "x") + only_head(id, {{"x", "a\nb"}});
      }};
  kinds["trailers-that-go-on"] = {true, [](auto id) {
                                    return good_head(id) + h2::data(id, "x") +
                                           h2::headers(id, fields_of({{"x", "1"}}), false) +
                                           h2::data(id, "y", true);
                                  }};
  kinds["two-final-heads"] = {true, [](auto id) { return good_head(id) + good_head(id); }};
}

// Faults after which a connection can't go on.
void add_bad_connections(Kinds& kinds) {
  kinds["data-first"] = {false, [](auto id) { return h2::data(id, "body", true); }};
  kinds["data-within-a-section"] = {
      false, [](auto id) {
        return h2::frame(h2::kHeaders, 0, id, h2::section(fields_of({{":status", "200"}}))) +
               h2::data(id, "x", true);
      }};
  kinds["continuation-alone"] = {false, [](auto id) {
                                   return h2::frame(h2::kContinuation, h2::kEndHeaders, id,
                                                    h2::section(fields_of({{":status", "200"}})));
                                 }};
  kinds["push-promise"] = {false, [](auto id) {
                             return h2::frame(
                                 h2::kPushPromise, h2::kEndHeaders, id,
                                 h2::number(2) + h2::section(fields_of({{":method", "GET"}})));
                           }};
  kinds["hpack-bad-index"] = {false, [](auto id) {
                                return h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, id,
                                                 "\xff\xff\xff\xff\x0f");
                              }};
  kinds["hpack-huge-table"] = {false, [](auto id) {
                                 return h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream,
                                                  id, "\x3f\xff\xff\x7f\x88");
                               }};
  kinds["padding-beyond"] = {
      true, [](auto id) {
        return good_head(id) + h2::frame(h2::kData, h2::kPadded | h2::kEndStream, id, "\x09xy");
      }};
  kinds["frame-too-large"] = {
      true, [](auto id) { return good_head(id) + h2::data(id, std::string(1 << 20, 'x'), true); }};
  kinds["window-overrun"] = {
      true,
      [](auto id) { return good_head(id) + many(h2::data(id, std::string(16'384, 'x')), 200); }};
  kinds["window-update-zero"] = {false, [](auto id) { return h2::window_update(id, 0); }};
  kinds["window-update-overflow"] = {
      false,
      [](auto) { return h2::window_update(0, 0x7fff'ffff) + h2::window_update(0, 0x7fff'ffff); }};
  kinds["settings-on-a-stream"] = {false, [](auto id) { return h2::frame(h2::kSettings, 0, id); }};
  kinds["settings-of-five"] = {false, [](auto) { return h2::frame(h2::kSettings, 0, 0, "12345"); }};
  kinds["settings-push"] = {false, [](auto) { return h2::settings({{h2::kEnablePush, 1}}); }};
  kinds["settings-huge-window"] = {false, [](auto) {
                                     return h2::settings({{h2::kInitialWindowSize, 0x8000'0000}});
                                   }};
  kinds["settings-small-frames"] = {false, [](auto) {
                                      return h2::settings({{h2::kMaxFrameSize, 16}});
                                    }};
  kinds["ping-of-seven"] = {false, [](auto) { return h2::frame(h2::kPing, 0, 0, "1234567"); }};
  kinds["reset-of-idle"] = {false, [](auto id) { return h2::reset(id + 1000, 8); }};
  kinds["data-on-idle"] = {false, [](auto id) { return h2::data(id + 1000, "x"); }};
  kinds["not-http2"] = {
      false, [](auto) { return std::string("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"); }};
}

void add_floods(Kinds& kinds) {
  kinds["huge-head"] = {
      false, [](auto id) {
        return only_head(id, {{":status", "200"}, {"x", std::string(1 << 20, 'x')}});
      }};
  kinds["endless-interim"] = {
      false, [](auto id) {
        return many(h2::headers(id, fields_of({{":status", "103"}, {"x", "y"}}), false), 20'000);
      }};
  kinds["endless-continuation"] = {
      false, [](auto id) {
        return h2::frame(h2::kHeaders, 0, id, h2::section(fields_of({{":status", "200"}}))) +
               many(h2::frame(h2::kContinuation, 0, id), 20'000);
      }};
  kinds["ping-flood"] = {false,
                         [](auto) { return many(h2::frame(h2::kPing, 0, 0, "12345678"), 20'000); }};
  kinds["settings-flood"] = {false, [](auto) { return many(h2::settings({}), 20'000); }};
  kinds["empty-data-flood"] = {
      true, [](auto id) { return good_head(id) + many(h2::data(id, ""), 20'000); }};
  kinds["priority-flood"] = {
      false,
      [](auto id) { return many(h2::frame(h2::kPriority, 0, id, std::string(5, '\0')), 20'000); }};
  kinds["unknown-flood"] = {false, [](auto) { return many(h2::frame(0x42, 0, 0, "x"), 20'000); }};
}

const Kinds& stream_faults() {
  static const Kinds kinds = [] {
    Kinds all;
    add_bad_heads(all);
    add_bad_streams(all);
    return all;
  }();
  return kinds;
}

const Kinds& connection_faults() {
  static const Kinds kinds = [] {
    Kinds all;
    add_bad_connections(all);
    add_floods(all);
    return all;
  }();
  return kinds;
}

}  // namespace

H2Answer h2_answer_to(const Behaviour& behaviour, const AnswerTo& request) {
  H2Answer answer = full_answer(behaviour, request);
  if (request.method == "HEAD") {
    answer.pattern_size = 0;
    answer.tail.clear();
    answer.hold_at.reset();
  }
  return answer;
}

const std::vector<H2Garbage>& h2_garbage_kinds() {
  static const std::vector<H2Garbage> names = [] {
    std::vector<H2Garbage> all;
    for (const Kinds* kinds : {&stream_faults(), &connection_faults()}) {
      for (const auto& [name, kind] : *kinds) {
        all.push_back(
            {.name = name, .late = kind.late, .ends_connection = kinds == &connection_faults()});
      }
    }
    return all;
  }();
  return names;
}

std::string h2_garbage(std::string_view kind, std::uint32_t stream) {
  for (const Kinds* kinds : {&stream_faults(), &connection_faults()}) {
    const auto found = kinds->find(kind);
    if (found != kinds->end()) return found->second.frames(stream);
  }
  return "";
}

}  // namespace sluice::harness
