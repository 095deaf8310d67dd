#include "proxy/cli/tokens_edit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "proxy/io/file_descriptor.h"

namespace sluice::proxy {
namespace {

std::unexpected<std::string> failure(std::string_view what, const std::string& path) {
  return std::unexpected(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Makes the file where there is none. Whom its folder belongs to as a group may read it: where
// Sluice has a user of its own, that is how it does.
void make_file(const std::string& path) {
  const io::FileDescriptor made(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  struct stat about {};
  if (!made || ::stat(folder_of(path).c_str(), &about) != 0) return;
  // Who may not give it away keeps it.
  [[maybe_unused]] const int given = ::fchown(made.get(), static_cast<uid_t>(-1), about.st_gid);
}

// The file that is at `path`, locked; one that was replaced while we waited is let go of.
std::expected<io::FileDescriptor, std::string> open_locked(const std::string& path) {
  for (;;) {
    io::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!file) return failure("open", path);
    if (::flock(file.get(), LOCK_EX) != 0) return failure("lock", path);
    struct stat ours {};
    struct stat there {};
    if (::fstat(file.get(), &ours) != 0) return failure("look at", path);
    if (!S_ISREG(ours.st_mode)) return std::unexpected(path + " is no file");
    if (::stat(path.c_str(), &there) == 0 && ours.st_dev == there.st_dev &&
        ours.st_ino == there.st_ino) {
      return file;
    }
  }
}

std::expected<std::string, std::string> read_all(int file, const std::string& path) {
  std::string text(conf::kTokensFileBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

std::expected<std::vector<conf::Token>, std::string> parse(const std::string& text,
                                                           const std::string& path) {
  auto tokens = conf::parse_tokens(text, path);
  if (tokens) return std::move(*tokens);
  std::string all;
  for (const conf::ConfigError& error : tokens.error()) {
    all += (all.empty() ? "" : "\n") + error.to_string();
  }
  return std::unexpected(std::move(all));
}

std::expected<void, std::string> write_all(int file, std::string_view text,
                                           const std::string& path) {
  while (!text.empty()) {
    const ssize_t taken = ::write(file, text.data(), text.size());
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return failure("write", path);
    text.remove_prefix(static_cast<std::size_t>(taken));
  }
  return {};
}

// Puts a file of that text in the place of the one at `path`, with its owner and mode.
std::expected<void, std::string> replace(const std::string& path, int old, std::string_view text) {
  struct stat about {};
  if (::fstat(old, &about) != 0) return failure("look at", path);
  std::string beside = path + ".XXXXXX";
  const io::FileDescriptor made(::mkostemp(beside.data(), O_CLOEXEC));
  if (!made) return failure("make a file beside", path);
  const auto give_up = [&](std::string error) -> std::expected<void, std::string> {
    ::unlink(beside.c_str());
    return std::unexpected(std::move(error));
  };
  struct stat own {};
  const bool other_owner =
      ::fstat(made.get(), &own) == 0 && (own.st_uid != about.st_uid || own.st_gid != about.st_gid);
  if (other_owner && ::fchown(made.get(), about.st_uid, about.st_gid) != 0) {
    return give_up(failure("keep the owner of", path).error());
  }
  if (::fchmod(made.get(), about.st_mode & 07777) != 0) {
    return give_up(failure("keep the mode of", path).error());
  }
  if (auto written = write_all(made.get(), text, beside); !written) return give_up(written.error());
  if (::fsync(made.get()) != 0) return give_up(failure("sync", beside).error());
  if (::rename(beside.c_str(), path.c_str()) != 0) return give_up(failure("replace", path).error());
  const std::string folder = folder_of(path);
  const io::FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return failure("sync", folder);
  return {};
}

// Where line `number`, from 1, begins and ends, its line feed included.
std::pair<std::size_t, std::size_t> line_at(std::string_view text, int number) {
  std::size_t begin = 0;
  for (int line = 1; line < number; ++line) begin = text.find('\n', begin) + 1;
  return {begin, std::min(text.find('\n', begin), text.size() - 1) + 1};
}

bool same_tokens(const std::vector<conf::Token>& one, const std::vector<conf::Token>& other) {
  return std::ranges::equal(one, other, [](const conf::Token& a, const conf::Token& b) {
    return a.name == b.name && a.sha256 == b.sha256 && a.grant == b.grant && a.expires == b.expires;
  });
}

}  // namespace

std::expected<std::vector<conf::Token>, std::string> read_tokens(const std::string& path) {
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failure("open", path);
  const auto text = read_all(file.get(), path);
  if (!text) return std::unexpected(text.error());
  return parse(*text, path);
}

std::expected<void, std::string> add_token(const std::string& path, const conf::Token& token) {
  make_file(path);
  auto file = open_locked(path);
  if (!file) return std::unexpected(file.error());
  auto text = read_all(file->get(), path);
  if (!text) return std::unexpected(text.error());
  auto expected = parse(*text, path);
  if (!expected) return std::unexpected(expected.error());
  expected->push_back(token);
  if (!text->empty() && !text->ends_with('\n')) *text += '\n';
  *text += conf::token_line(token) + '\n';
  const auto tokens = parse(*text, path);
  if (!tokens || !same_tokens(*tokens, *expected)) {
    return std::unexpected(fmt::format(
        "{}: behind a [table] a line can't be added; put it at the file's beginning:\n{}", path,
        conf::token_line(token)));
  }
  return replace(path, file->get(), *text);
}

std::expected<std::size_t, std::string> revoke_tokens(const std::string& path,
                                                      std::string_view which) {
  auto file = open_locked(path);
  if (!file) return std::unexpected(file.error());
  auto text = read_all(file->get(), path);
  if (!text) return std::unexpected(text.error());
  auto tokens = parse(*text, path);
  if (!tokens) return std::unexpected(tokens.error());
  const auto is_meant = [&](const conf::Token& token) {
    return which == token.name || which == token.name + "." + token.id;
  };
  std::vector<int> lines;
  for (const conf::Token& token : *tokens) {
    if (is_meant(token)) lines.push_back(token.line);
  }
  if (lines.empty()) return std::unexpected(fmt::format("{}: there is no token {}", path, which));
  std::ranges::sort(lines, std::ranges::greater{});
  for (const int line : lines) {
    const auto [begin, end] = line_at(*text, line);
    text->erase(begin, end - begin);
  }
  std::erase_if(*tokens, is_meant);
  const auto left = parse(*text, path);
  if (!left || !same_tokens(*left, *tokens)) {
    return std::unexpected(fmt::format(
        "{}: the token does not stand on a line of its own; take it out by hand", path));
  }
  if (auto replaced = replace(path, file->get(), *text); !replaced) {
    return std::unexpected(replaced.error());
  }
  return lines.size();
}

}  // namespace sluice::proxy
