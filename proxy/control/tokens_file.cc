#include "proxy/control/tokens_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "proxy/control/event_log.h"
#include "proxy/io/file_descriptor.h"
#include "tls/digest.h"

namespace sluice::proxy {
namespace {

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

TokensFile::Stamp stamp_of(const struct stat& about) {
  return {.device = about.st_dev,
          .inode = about.st_ino,
          .modified_ns = nanoseconds(about.st_mtim),
          .changed_ns = nanoseconds(about.st_ctim),
          .bytes = about.st_size};
}

// All zeros for a file that isn't there.
TokensFile::Stamp stamp_of(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 ? stamp_of(about) : TokensFile::Stamp{};
}

std::string cannot(std::string_view what, const std::string& path) {
  return fmt::format("tokens file {}: cannot {} it: {}", path, what, std::strerror(errno));
}

}  // namespace

std::expected<TokensFile::Contents, std::vector<std::string>> TokensFile::read(
    const std::string& path) {
  Contents contents{.path = path};
  if (path.empty()) return contents;
  const auto fail = [&](std::string sentence) {
    return std::unexpected(std::vector<std::string>{std::move(sentence)});
  };
  // A pipe in its place must not keep us waiting.
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) return fail(cannot("open", path));
  if (!S_ISREG(about.st_mode)) return fail(fmt::format("tokens file {}: it is no file", path));
  if ((about.st_mode & S_IWOTH) != 0) {
    return fail(
        fmt::format("tokens file {}: everybody may write it, and so let themselves in: "
                    "chmod 0640 {}",
                    path, path));
  }
  contents.stamp = stamp_of(about);
  std::string text(conf::kTokensFileBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(cannot("read", path));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  auto tokens = conf::parse_tokens(text, path);
  if (!tokens) {
    std::vector<std::string> errors;
    for (const conf::ConfigError& error : tokens.error()) errors.push_back(error.to_string());
    return std::unexpected(std::move(errors));
  }
  contents.tokens = std::move(*tokens);
  return contents;
}

struct TokensFile::Look {
  std::string path;
  Stamp before;
  Stamp stamp;
  std::expected<Contents, std::vector<std::string>> read;
};

TokensFile::TokensFile(io::Loop& loop, Background& background)
    : loop_(loop), background_(background), timer_(io::Timer::calling<&TokensFile::poll>(this)) {
}

TokensFile::~TokensFile() = default;

void TokensFile::use(Contents contents) {
  contents_ = std::move(contents);
  seen_ = contents_.stamp;
  timer_.cancel();
  if (contents_.path.empty()) return;
  ++reads_taken_;
  if (!looking_) loop_.timers().arm(timer_, loop_.now() + kPollTime);
}

void TokensFile::stop() {
  timer_.cancel();
  contents_.path.clear();
}

void TokensFile::poll() {
  looking_ = true;
  auto look = std::make_shared<Look>(Look{.path = contents_.path, .before = seen_});
  background_.run(
      [look] {
        look->stamp = stamp_of(look->path);
        if (look->stamp != look->before) look->read = read(look->path);
      },
      [this, look] {
        looking_ = false;
        on_looked(*look);
        if (!contents_.path.empty()) loop_.timers().arm(timer_, loop_.now() + kPollTime);
      });
}

void TokensFile::on_looked(const Look& look) {
  // A reload may have been faster.
  if (look.path != contents_.path || look.before != seen_ || look.stamp == look.before) return;
  seen_ = look.stamp;
  if (!look.read) {
    ++reads_refused_;
    for (const std::string& error : look.read.error()) {
      log_event(Level::error, "tokens_refused",
                {{"reason", error}, {"meaning", "the tokens stay as they were"}});
    }
    return;
  }
  ++reads_taken_;
  contents_ = *look.read;
  // What was read may be younger than what was looked at: then it is read once more.
  log_event(Level::info, "tokens_taken_over",
            {{"file", contents_.path}, {"tokens", std::to_string(contents_.tokens.size())}});
}

const conf::Token* TokensFile::find(std::string_view shown) const {
  const std::string digest = tls::sha256_hex(shown);
  const conf::Token* found = nullptr;
  for (const conf::Token& token : contents_.tokens) {
    if (tls::equal_in_constant_time(token.sha256, digest)) found = &token;
  }
  return found;
}

}  // namespace sluice::proxy
