#include "tests/harness/load.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <sstream>

#include "proxy/base/check.h"
#include "tests/harness/strict_parser.h"

namespace sluice::harness {
namespace {

// The number right after `label`, which must be there.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view label) {
  std::size_t at = text.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(at + label.size());
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  std::uint64_t number = 0;
  if (std::from_chars(rest.data(), rest.data() + rest.size(), number).ec != std::errc()) {
    return std::nullopt;
  }
  return number;
}

// The whole number that ends right before `label`.
std::optional<std::uint64_t> number_before(std::string_view text, std::string_view label) {
  std::size_t end = text.find(label);
  if (end == std::string_view::npos) return std::nullopt;
  std::size_t begin = end;
  while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
  std::uint64_t number = 0;
  std::from_chars(text.data() + begin, text.data() + end, number);
  return begin == end ? std::nullopt : std::optional(number);
}

// `1.25ms` and the like, in milliseconds.
double parse_duration_ms(const std::string& text) {
  std::size_t unit_at = 0;
  double number = 0;
  try {
    number = std::stod(text, &unit_at);
  } catch (const std::exception&) {
    return 0;
  }
  std::string unit = text.substr(unit_at);
  if (unit == "us") return number / 1000;
  if (unit == "s") return number * 1000;
  if (unit == "m") return number * 60'000;
  return number;
}

}  // namespace

std::expected<WrkResult, std::string> parse_wrk(std::string_view output) {
  WrkResult result;
  result.output = output;
  auto requests = number_before(output, " requests in ");
  if (!requests) return std::unexpected("not the output of wrk: " + result.output);
  result.requests = *requests;
  result.non_2xx = number_after(output, "Non-2xx or 3xx responses:").value_or(0);
  std::size_t errors_at = output.find("Socket errors:");
  if (errors_at != std::string_view::npos) {
    std::string_view errors = output.substr(errors_at);
    result.connect_errors = number_after(errors, "connect ").value_or(0);
    result.read_errors = number_after(errors, "read ").value_or(0);
    result.write_errors = number_after(errors, "write ").value_or(0);
    result.timeouts = number_after(errors, "timeout ").value_or(0);
  }
  std::istringstream words(result.output);
  for (std::string word; words >> word;) {
    if (word == "99%" && words >> word) result.p99_ms = parse_duration_ms(word);
  }
  return result;
}

bool Wrk::installed() {
  return std::filesystem::exists("/usr/bin/wrk");
}

std::expected<std::unique_ptr<Wrk>, std::string> Wrk::start(const Options& options) {
  std::vector<std::string> words = {"wrk",
                                    "--latency",
                                    "-t" + std::to_string(options.threads),
                                    "-c" + std::to_string(options.connections),
                                    "-d" + std::to_string(options.duration.count()) + "s",
                                    "--timeout",
                                    "10s"};
  for (const std::string& field : options.fields) {
    words.emplace_back("-H");
    words.push_back(field);
  }
  words.push_back(options.url);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  std::array<int, 2> pipe_ends;
  SLUICE_CHECK(pipe2(pipe_ends.data(), O_CLOEXEC) == 0);
  Fd read_end(pipe_ends[0]);
  Fd write_end(pipe_ends[1]);
  pid_t pid = fork();
  if (pid < 0) return std::unexpected("fork: " + errno_text(errno));
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(write_end.get(), STDOUT_FILENO);
    dup2(write_end.get(), STDERR_FILENO);
    execvp("wrk", arguments.data());
    _exit(127);
  }
  return std::unique_ptr<Wrk>(new Wrk(pid, std::move(read_end)));
}

Wrk::~Wrk() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::expected<WrkResult, std::string> Wrk::stop(bool interrupt) {
  std::string output;
  std::array<char, 4096> buffer;
  if (interrupt) {
    // Once isn't enough: before wrk has gone to sleep it takes note of the signal and sleeps on.
    pollfd waiting{.fd = output_.get(), .events = POLLIN, .revents = 0};
    do {
      kill(pid_, SIGINT);
    } while (poll(&waiting, 1, 500) == 0);
  }
  while (true) {
    ssize_t n = read(output_.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output.append(buffer.data(), static_cast<std::size_t>(n));
  }
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  return parse_wrk(output);
}

namespace {

// One run_checked(): all its connections on one epoll.
class CheckedRun {
 public:
  explicit CheckedRun(const CheckedLoad& load);
  CheckedResult run();

 private:
  struct Connection {
    Fd fd;
    StrictParser parser{StrictParser::Kind::response};
    bool waiting = false;  // for a response
    std::string body;
  };

  void open(Connection& connection);
  void send_next(Connection& connection);
  void on_readable(Connection& connection);
  void on_response(Connection& connection);
  void fail(Connection& connection, const std::string& why);

  const CheckedLoad& load_;
  std::string request_;
  Fd epoll_{epoll_create1(EPOLL_CLOEXEC)};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::uint64_t started_ = 0;
  std::uint64_t waiting_ = 0;
  CheckedResult result_;
};

CheckedRun::CheckedRun(const CheckedLoad& load)
    : load_(load), request_("GET " + load.target + " HTTP/1.1\r\nHost: " + load.host + "\r\n\r\n") {
}

CheckedResult CheckedRun::run() {
  Deadline deadline(load_.patience);
  for (int i = 0; i < load_.connections && started_ < load_.requests; ++i) {
    connections_.push_back(std::make_unique<Connection>());
    open(*connections_.back());
    send_next(*connections_.back());
  }
  std::array<epoll_event, 64> events;
  while (waiting_ > 0 && !deadline.over()) {
    int n = epoll_wait(epoll_.get(), events.data(), events.size(), deadline.remaining_ms());
    for (int i = 0; i < n; ++i) {
      on_readable(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
  }
  if (waiting_ > 0) {
    result_.failed += waiting_;
    result_.failures.push_back(std::to_string(waiting_) + " never answered");
  }
  return std::move(result_);
}

void CheckedRun::open(Connection& connection) {
  auto fd = connect_to(load_.endpoint);
  if (!fd) return;
  connection.fd = std::move(*fd);
  connection.parser = StrictParser(StrictParser::Kind::response);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
  SLUICE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.fd.get(), &event) == 0);
}

void CheckedRun::send_next(Connection& connection) {
  while (started_ < load_.requests) {
    ++started_;
    ++waiting_;
    connection.waiting = true;
    connection.body.clear();
    if (!connection.fd) open(connection);
    ssize_t n = -1;
    if (connection.fd) {
      n = send(connection.fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
    }
    if (n == static_cast<ssize_t>(request_.size())) return;
    fail(connection, "could not connect or send: " + errno_text(errno));
  }
}

void CheckedRun::fail(Connection& connection, const std::string& why) {
  ++result_.failed;
  if (result_.failures.size() < 10) result_.failures.push_back(why);
  connection.fd.close();
  connection.waiting = false;
  --waiting_;
}

void CheckedRun::on_readable(Connection& connection) {
  std::array<char, 64 * 1024> buffer;
  if (!connection.fd) return;
  ssize_t n = recv(connection.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    bool ends_body = n == 0 && connection.parser.end_of_stream() == StrictParser::Event::complete;
    if (connection.waiting && !ends_body) {
      fail(connection, n < 0 ? errno_text(errno) : "closed before the end of the response");
      return send_next(connection);
    }
    connection.fd.close();
    if (connection.waiting) on_response(connection);
    return;
  }
  std::string_view input(buffer.data(), static_cast<std::size_t>(n));
  while (true) {
    StrictParser::Event event = connection.parser.next(input);
    if (event == StrictParser::Event::need_more) return;
    if (event == StrictParser::Event::body) connection.body += connection.parser.body_part();
    if (event == StrictParser::Event::failed || !connection.waiting) {
      std::string why = event == StrictParser::Event::failed ? connection.parser.error()
                                                             : "a response nobody asked for";
      if (!connection.waiting) {
        connection.waiting = true;  // counts as one more
        ++waiting_;
      }
      fail(connection, why);
      return send_next(connection);
    }
    if (event != StrictParser::Event::complete) continue;
    if (connection.parser.head().status < 200) continue;
    if (connection.parser.says_close()) connection.fd.close();
    bool last = !connection.fd;
    on_response(connection);
    if (last) return;
  }
}

void CheckedRun::on_response(Connection& connection) {
  const StrictParser::Head& head = connection.parser.head();
  std::string backend = head.fields.get("X-Backend").value_or("");
  std::string expected = load_.body;
  std::size_t place = expected.find("{backend}");
  if (place != std::string::npos) expected.replace(place, 9, backend);
  bool good = head.status >= 200 && head.status < 300;
  if (good && !expected.empty() && connection.body != expected) {
    fail(connection, "not the body of backend '" + backend + "': " + connection.body);
    return send_next(connection);
  }
  ++result_.completed;
  ++result_.by_status[head.status];
  if (good) ++result_.by_backend[backend];
  connection.waiting = false;
  --waiting_;
  send_next(connection);
}

}  // namespace

CheckedResult run_checked(const CheckedLoad& load) {
  return CheckedRun(load).run();
}

}  // namespace sluice::harness
