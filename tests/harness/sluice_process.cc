#include "tests/harness/sluice_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "proxy/base/check.h"

extern char** environ;

namespace sluice::harness {
namespace {

std::uint64_t kib_after(const std::string& text, const std::string& label) {
  std::size_t at = text.find("\n" + label);
  return at == std::string::npos ? 0 : std::strtoull(&text[at + 1 + label.size()], nullptr, 10);
}

std::string with_directory(std::string_view config, const std::string& directory) {
  std::string text(config);
  constexpr std::string_view kMark = "@DIR@";
  for (std::size_t at = 0; (at = text.find(kMark, at)) != std::string::npos;) {
    text.replace(at, kMark.size(), directory);
  }
  return text;
}

Fd notify_socket(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  SLUICE_CHECK(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  unlink(path.c_str());
  SLUICE_CHECK(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

// Text that grows while others read it; the newest is dropped beyond a bound.
constexpr std::size_t kOutputMax = 256 * 1024 * 1024;

// Reads what is there; false at the end of the stream.
bool drain(int fd, std::string& into, std::mutex& mutex) {
  std::array<char, 64 * 1024> buffer;
  while (true) {
    ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    std::lock_guard lock(mutex);
    if (into.size() < kOutputMax) into.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

// The lines that are events: JSON objects.
std::vector<nlohmann::json> events_in(std::string_view text) {
  std::vector<nlohmann::json> events;
  for (std::size_t end; (end = text.find('\n')) != std::string_view::npos;
       text.remove_prefix(end + 1)) {
    auto json = nlohmann::json::parse(text.substr(0, end), nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) events.push_back(std::move(json));
  }
  return events;
}

}  // namespace

Memory memory_of(pid_t pid) {
  std::string base = "/proc/" + std::to_string(pid);
  return {.rss_kib = kib_after(read_file(base + "/status"), "VmRSS:"),
          .pss_kib = kib_after(read_file(base + "/smaps_rollup"), "Pss:")};
}

struct SluiceProcess::Impl {
  struct Pipe {
    Fd read;
    Fd write;
    Pipe() {
      std::array<int, 2> ends;
      SLUICE_CHECK(pipe2(ends.data(), O_CLOEXEC) == 0);
      read = Fd(ends[0]);
      write = Fd(ends[1]);
      fcntl(read.get(), F_SETFL, O_NONBLOCK);
    }
  };

  Options options;
  pid_t pid = -1;
  Fd pid_fd;
  Fd notify;
  Pipe output;
  Pipe errors;
  Fd stop{eventfd(0, EFD_CLOEXEC)};
  std::thread reader;

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::string output_text;                 // guarded by mutex
  std::string error_text;                  // guarded by mutex
  std::vector<std::string> notifications;  // guarded by mutex
  std::optional<ExitStatus> exit;          // guarded by mutex

  std::string config_file() const { return options.directory->file("sluice.toml"); }
  void spawn();
  void read_all();
  void read_notifications();
  void reap();

  template <typename Predicate>
  bool wait(Deadline deadline, Predicate predicate) const {
    std::unique_lock lock(mutex);
    return changed.wait_until(lock, deadline.at(), predicate);
  }
  std::size_t wait_for_text(const std::string& text, std::string_view wanted, std::size_t from,
                            Deadline deadline) const;
};

void SluiceProcess::Impl::spawn() {
  std::vector<std::string> words = {binary()};
  if (options.arguments.empty()) {
    words.insert(words.end(), {"run", "-c", config_file()});
  } else {
    words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  }
  std::map<std::string, std::string> environment = options.environment;
  std::string notify_path = options.directory->file("notify.sock");
  environment["NOTIFY_SOCKET"] = notify_path;
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    std::string name(*variable, std::string_view(*variable).find('='));
    if (!environment.contains(name)) variables.emplace_back(*variable);
  }
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> all;
    for (std::string& string : strings) all.push_back(string.data());
    all.push_back(nullptr);
    return all;
  };
  std::vector<char*> arguments = pointers(words);
  std::vector<char*> environment_block = pointers(variables);

  notify = notify_socket(notify_path);
  pid = fork();
  SLUICE_CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGPIPE, SIG_DFL);
    dup2(output.write.get(), STDOUT_FILENO);
    dup2(errors.write.get(), STDERR_FILENO);
    execve(arguments[0], arguments.data(), environment_block.data());
    _exit(127);
  }
  output.write.close();
  errors.write.close();
  pid_fd = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  SLUICE_CHECK(pid_fd.get() >= 0);
  reader = std::thread([this] { read_all(); });
}

// The reader thread: everything the process says, until it is gone and its pipes are empty.
void SluiceProcess::Impl::read_all() {
  enum { kPid, kNotify, kOutput, kErrors, kStop };
  std::array<pollfd, 5> fds = {{{.fd = pid_fd.get(), .events = POLLIN, .revents = 0},
                                {.fd = notify.get(), .events = POLLIN, .revents = 0},
                                {.fd = output.read.get(), .events = POLLIN, .revents = 0},
                                {.fd = errors.read.get(), .events = POLLIN, .revents = 0},
                                {.fd = stop.get(), .events = POLLIN, .revents = 0}}};
  while (true) {
    if (poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[kOutput].revents != 0 && !drain(output.read.get(), output_text, mutex)) {
      fds[kOutput].fd = -1;
    }
    if (fds[kErrors].revents != 0 && !drain(errors.read.get(), error_text, mutex)) {
      fds[kErrors].fd = -1;
    }
    if (fds[kNotify].revents != 0) read_notifications();
    if (fds[kPid].revents != 0) {
      drain(output.read.get(), output_text, mutex);
      drain(errors.read.get(), error_text, mutex);
      read_notifications();
      reap();
      fds[kPid].fd = -1;
    }
    changed.notify_all();
    if (fds[kStop].revents != 0) return;
  }
}

void SluiceProcess::Impl::read_notifications() {
  std::array<char, 4096> buffer;
  ssize_t n;
  while ((n = recv(notify.get(), buffer.data(), buffer.size(), 0)) > 0) {
    std::istringstream lines(std::string(buffer.data(), static_cast<std::size_t>(n)));
    std::lock_guard lock(mutex);
    for (std::string line; std::getline(lines, line);) notifications.push_back(line);
  }
}

void SluiceProcess::Impl::reap() {
  int status = 0;
  SLUICE_CHECK(waitpid(pid, &status, 0) == pid);
  std::lock_guard lock(mutex);
  exit = WIFEXITED(status) ? ExitStatus{.code = WEXITSTATUS(status), .signal = 0}
                           : ExitStatus{.code = -1, .signal = WTERMSIG(status)};
}

std::size_t SluiceProcess::Impl::wait_for_text(const std::string& text, std::string_view wanted,
                                               std::size_t from, Deadline deadline) const {
  std::size_t at = std::string::npos;
  wait(deadline, [&] { return (at = text.find(wanted, from)) != std::string::npos || exit; });
  return at == std::string::npos ? at : at + wanted.size();
}

std::string SluiceProcess::binary() {
  const char* named = getenv("SLUICE_BINARY");
  return named != nullptr ? named : SLUICE_BINARY_DEFAULT;
}

bool SluiceProcess::sanitized() {
  static const bool found = [] {
    const std::string bytes = read_file(binary());
    return bytes.find("__asan_init") != bytes.npos || bytes.find("__tsan_init") != bytes.npos;
  }();
  return found;
}

std::expected<std::unique_ptr<SluiceProcess>, std::string> SluiceProcess::start(Options options) {
  if (access(binary().c_str(), X_OK) != 0) {
    return std::unexpected(binary() + " is not there to run");
  }
  if (!options.directory) options.directory = std::make_shared<TempDir>();
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  std::unique_ptr<SluiceProcess> process(new SluiceProcess(std::move(impl)));
  if (!process->impl_->options.config.empty())
    process->write_config(process->impl_->options.config);
  process->impl_->spawn();
  if (!process->impl_->options.wait_ready) return process;
  if (!process->wait_for_notification("READY=1", Deadline(process->impl_->options.patience))) {
    std::string why = process->running() ? "is not ready in time" : "ended before it was ready";
    return std::unexpected("sluice " + why + "; its stderr:\n" + process->standard_error());
  }
  return process;
}

SluiceProcess::SluiceProcess(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

SluiceProcess::~SluiceProcess() {
  if (!impl_->reader.joinable()) return;
  signal(SIGKILL);
  wait_exit();
  SLUICE_CHECK(eventfd_write(impl_->stop.get(), 1) == 0);
  impl_->reader.join();
}

Endpoint SluiceProcess::endpoint(std::string_view listener) const {
  Endpoint found;
  impl_->wait(Deadline{}, [&] {
    for (const nlohmann::json& event : events_in(impl_->error_text)) {
      if (event.value("event", "") != "listening") continue;
      if (event.value("listener", "") != listener) continue;
      Endpoint next = Endpoint::parse(event.value("address", ""));
      if (next.port != 0 || found.port == 0) found = next;
    }
    return found.port != 0 || !found.unix_path.empty() || impl_->exit;
  });
  return found;
}

std::string SluiceProcess::wait_for_event(const std::vector<std::string>& names, std::size_t from,
                                          Deadline deadline) const {
  std::string found;
  impl_->wait(deadline, [&] {
    for (const nlohmann::json& event :
         events_in(std::string_view(impl_->error_text).substr(from))) {
      std::string name = event.value("event", "");
      if (std::ranges::find(names, name) == names.end()) continue;
      found = name;
      return true;
    }
    return impl_->exit.has_value();
  });
  return found;
}

pid_t SluiceProcess::pid() const {
  return impl_->pid;
}

const std::shared_ptr<TempDir>& SluiceProcess::directory() const {
  return impl_->options.directory;
}

std::string SluiceProcess::config_file() const {
  return impl_->config_file();
}

void SluiceProcess::write_config(std::string_view config) {
  write_file(config_file(), with_directory(config, directory()->path()));
}

void SluiceProcess::signal(int number) {
  // By pidfd: the process may be gone and its pid another's.
  syscall(SYS_pidfd_send_signal, impl_->pid_fd.get(), number, nullptr, 0);
}

std::optional<ExitStatus> SluiceProcess::wait_exit(Deadline deadline) {
  impl_->wait(deadline, [&] { return impl_->exit.has_value(); });
  std::lock_guard lock(impl_->mutex);
  return impl_->exit;
}

bool SluiceProcess::running() const {
  std::lock_guard lock(impl_->mutex);
  return !impl_->exit;
}

std::string SluiceProcess::standard_output() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->output_text;
}

std::string SluiceProcess::standard_error() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->error_text;
}

std::size_t SluiceProcess::wait_for_error_text(std::string_view text, std::size_t from,
                                               Deadline deadline) const {
  return impl_->wait_for_text(impl_->error_text, text, from, deadline);
}

std::size_t SluiceProcess::wait_for_output_text(std::string_view text, std::size_t from,
                                                Deadline deadline) const {
  return impl_->wait_for_text(impl_->output_text, text, from, deadline);
}

std::vector<std::string> SluiceProcess::notifications() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->notifications;
}

bool SluiceProcess::wait_for_notification(std::string_view assignment, Deadline deadline) const {
  bool came = false;
  impl_->wait(deadline, [&] {
    came = std::ranges::find(impl_->notifications, assignment) != impl_->notifications.end();
    return came || impl_->exit;
  });
  return came;
}

std::string SluiceProcess::sanitizer_report() const {
  std::string text = standard_error();
  for (const char* mark : {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                           "WARNING: ThreadSanitizer", "AddressSanitizer:DEADLYSIGNAL"}) {
    std::size_t at = text.find(mark);
    if (at != std::string::npos) return text.substr(text.rfind('\n', at) + 1);
  }
  return "";
}

}  // namespace sluice::harness
