#include "tests/harness/origin_answers.h"

#include <charconv>
#include <map>

#include "tests/harness/pattern.h"

namespace sluice::harness {
namespace {

using Then = Answer::Then;

std::string status_line(int status) {
  static const std::map<int, const char*> kReasons = {{200, "OK"},
                                                      {204, "No Content"},
                                                      {301, "Moved Permanently"},
                                                      {304, "Not Modified"},
                                                      {404, "Not Found"},
                                                      {413, "Content Too Large"},
                                                      {500, "Internal Server Error"},
                                                      {503, "Service Unavailable"}};
  auto reason = kReasons.find(status);
  return "HTTP/1.1 " + std::to_string(status) + " " +
         (reason == kReasons.end() ? "Whatever" : reason->second) + "\r\n";
}

std::string length_field(std::uint64_t length) {
  return "Content-Length: " + std::to_string(length) + "\r\n";
}

// Malformed responses by name; BACKEND stands for the field that names us.
const std::map<std::string, std::string>& garbage() {
  static const std::string ok = "HTTP/1.1 200 OK\r\nX-Backend: BACKEND\r\n";
  static const std::map<std::string, std::string> kinds = {
      {"not-http", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
      {"no-version", "200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"wrong-version", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"short-status", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"},
      {"long-status", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"},
      {"status-zero", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"},
      {"bare-lf", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
      {"bare-cr", "HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 0\r\n\r\n"},
      {"nul-in-value", ok + std::string("X-A: b\0c\r\nContent-Length: 0\r\n\r\n", 31)},
      {"space-before-colon", ok + "Content-Length : 2\r\n\r\nok"},
      {"obs-fold", ok + "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"},
      {"no-colon", ok + "Nonsense\r\nContent-Length: 2\r\n\r\nok"},
      {"two-lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"},
      {"length-list", ok + "Content-Length: 2, 3\r\n\r\nok!"},
      {"negative-length", ok + "Content-Length: -2\r\n\r\nok"},
      {"huge-length", ok + "Content-Length: 99999999999999999999\r\n\r\nok"},
      {"length-and-chunked",
       ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
      {"unknown-coding", ok + "Transfer-Encoding: gzip, identity\r\n\r\nok"},
      {"bad-chunk-size", ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n"},
      {"huge-chunk-size",
       ok + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok\r\n0\r\n\r\n"},
      {"chunk-too-long", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n"},
      {"chunk-bare-lf", ok + "Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n"},
      {"head-cut", ok + "Content-Le"},
      {"huge-head", ok + "X-Huge: " + std::string(1 << 20, 'h') + "\r\nContent-Length: 0\r\n\r\n"},
      {"extra-bytes", ok + "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Poison: yes\r\n"
                           "Content-Length: 6\r\n\r\npoison"},
      {"switching-unasked",
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
       "Connection: upgrade\r\n\r\n"},
  };
  return kinds;
}

struct Head {
  std::string text;
  Head(int status, std::string_view backend) : text(status_line(status)) {
    text.append("X-Backend: ").append(backend) += "\r\n";
  }
  Head& add(std::string_view lines) {
    text += lines;
    return *this;
  }
  std::string end() { return text + "\r\n"; }
};

Answer with_text(int status, const AnswerTo& to, std::string body, std::string_view fields = {}) {
  Answer answer;
  answer.head = Head(status, to.backend).add(fields).add(length_field(body.size())).end();
  answer.tail = std::move(body);
  return answer;
}

Answer with_pattern(const AnswerTo& to, std::uint64_t size) {
  Answer answer;
  answer.head = Head(200, to.backend).add(length_field(size)).end();
  answer.pattern_size = size;
  return answer;
}

Answer with_chunks(const AnswerTo& to, std::uint64_t size, std::string_view fields = {},
                   std::string_view trailers = {}) {
  Answer answer;
  answer.head = Head(200, to.backend).add("Transfer-Encoding: chunked\r\n").add(fields).end();
  answer.pattern_size = size;
  answer.chunked = true;
  answer.tail = "0\r\n" + std::string(trailers) + "\r\n";
  return answer;
}

Answer until_close(const AnswerTo& to, std::uint64_t size, bool http10) {
  Answer answer;
  answer.head = Head(200, to.backend).add(http10 ? "" : "Connection: close\r\n").end();
  if (http10) answer.head.replace(0, 8, "HTTP/1.0");
  answer.pattern_size = size;
  answer.then = Then::close;
  return answer;
}

Answer status_only(const AnswerTo& to, int status) {
  if (status == 204 || status == 304) {
    Answer answer;
    answer.head = Head(status, to.backend).end();
    return answer;
  }
  return with_text(status, to, "status " + std::to_string(status) + "\n");
}

Answer closing(Answer answer, Then then) {
  answer.then = then;
  return answer;
}

std::string default_text(const AnswerTo& to) {
  return "backend " + std::string(to.backend) + "\n";
}

Answer full_answer(const Behaviour& behaviour, const AnswerTo& to) {
  const std::string& name = behaviour.name;
  std::uint64_t number = behaviour.number();
  if (name == "echo" || name == "continue") {
    std::string type =
        to.content_type.empty() ? "" : "Content-Type: " + std::string(to.content_type) + "\r\n";
    return with_text(200, to, std::string(to.body), type);
  }
  if (name == "bytes") return with_pattern(to, number);
  if (name == "chunked") return with_chunks(to, number);
  if (name == "until-close") return until_close(to, number, false);
  if (name == "http10") return until_close(to, number, true);
  if (name == "truncate") {
    Answer answer = closing(with_pattern(to, number), Then::close);
    answer.pattern_size = number / 2;
    return answer;
  }
  if (name == "truncate-chunked") {
    Answer answer = closing(with_chunks(to, number), Then::close);
    answer.tail.clear();
    return answer;
  }
  if (name == "trailers") {
    std::string trailers = "X-Checksum: " + Digest::of(pattern(1000)) + "\r\nX-Backend-Time: 7\r\n";
    return with_chunks(to, 1000, "Trailer: X-Checksum, X-Backend-Time\r\n", trailers);
  }
  if (name == "slow") {
    Answer answer = with_text(200, to, default_text(to));
    std::size_t at = behaviour.query.find("ms=");
    int ms = at == std::string::npos ? 0 : atoi(behaviour.query.c_str() + at + 3);
    answer.delay = milliseconds(ms);
    return answer;
  }
  if (name == "hold") {
    Answer answer = with_text(200, to, default_text(to));
    answer.hold_head = true;
    return answer;
  }
  if (name == "hold-body") {
    Answer answer = with_pattern(to, number);
    answer.hold_at = number / 2;
    return answer;
  }
  if (name == "status") return status_only(to, static_cast<int>(number));
  if (name == "health") return status_only(to, to.health_status);
  if (name == "close") {
    return closing(with_text(200, to, default_text(to), "Connection: close\r\n"), Then::close);
  }
  if (name == "early-close") {
    return closing(with_text(413, to, "too large\n", "Connection: close\r\n"), Then::close);
  }
  if (name == "drop") return {.then = Then::close};
  if (name == "reset") return {.then = Then::reset};
  if (name == "raw") {
    Answer answer;
    answer.head = to.body;
    const std::string& then = behaviour.value;
    answer.then = then == "close" ? Then::close : then == "reset" ? Then::reset : Then::keep;
    return answer;
  }
  if (name == "garbage" && garbage().contains(behaviour.value)) {
    Answer answer;
    answer.head = garbage().at(behaviour.value);
    std::size_t at = answer.head.find("BACKEND");
    if (at != std::string::npos) answer.head.replace(at, 7, to.backend);
    answer.then = behaviour.value == "extra-bytes" ? Then::keep : Then::close;
    return answer;
  }
  return with_text(200, to, default_text(to));
}

}  // namespace

std::uint64_t Behaviour::number() const {
  std::uint64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

Behaviour behaviour_of(std::string_view target, const Fields& fields) {
  std::string forced = fields.get("X-Origin-Behaviour").value_or("");
  std::string_view path = forced.empty() ? target : std::string_view(forced);
  Behaviour behaviour;
  std::size_t question = path.find('?');
  if (question != std::string_view::npos) {
    behaviour.query = path.substr(question + 1);
    path = path.substr(0, question);
  }
  if (path.starts_with('/')) path.remove_prefix(1);
  std::size_t slash = path.find('/');
  behaviour.name = path.substr(0, slash);
  if (slash != std::string_view::npos) behaviour.value = path.substr(slash + 1);
  return behaviour;
}

Answer answer_to(const Behaviour& behaviour, const AnswerTo& request) {
  Answer answer = full_answer(behaviour, request);
  if (request.method == "HEAD") {
    answer.pattern_size = 0;
    answer.tail.clear();
    answer.hold_at.reset();
  }
  return answer;
}

std::string interim_for(const Behaviour& behaviour, bool expects_continue) {
  if (behaviour.early()) return "";
  if (behaviour.name == "interim") {
    return "HTTP/1.1 " + behaviour.value + " Interim\r\nLink: </style.css>; rel=preload\r\n\r\n";
  }
  if (expects_continue || behaviour.name == "continue") return "HTTP/1.1 100 Continue\r\n\r\n";
  return "";
}

const std::vector<std::string>& garbage_kinds() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, bytes] : garbage()) all.push_back(name);
    return all;
  }();
  return names;
}

}  // namespace sluice::harness
