#include "proxy/control/sticky_key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "proxy/io/file_descriptor.h"

namespace sluice::proxy {
namespace {

std::string reason() {
  return std::strerror(errno);
}

bool needs_cookies(const conf::Route& route) {
  if (!route.sticky) return false;
  for (const auto& way : route.sticky->by) {
    if (way.front().kind == conf::StickyPart::Kind::cookie) return true;
  }
  return false;
}

struct Text {
  std::string text;
  bool others_can_read = false;
};

// An empty optional: there is no such file.
std::expected<std::optional<Text>, std::string> read(const std::string& path) {
  io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    return std::unexpected("cannot open it: " + reason());
  }
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return std::unexpected("cannot read it: " + reason());
  if (!S_ISREG(about.st_mode)) return std::unexpected("it is not a regular file");
  Text read;
  read.others_can_read = (about.st_mode & S_IROTH) != 0;
  read.text.resize(StickyKeys::kFileBytesMax + 1);  // one more tells that it is too large
  std::size_t size = 0;
  while (size < read.text.size()) {
    const ssize_t got = ::read(file.get(), read.text.data() + size, read.text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected("cannot read it: " + reason());
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > StickyKeys::kFileBytesMax) {
    return std::unexpected(fmt::format("it is larger than {} bytes", StickyKeys::kFileBytesMax));
  }
  read.text.resize(size);
  return read;
}

// Whole under its name or not at all; one that somebody else made meanwhile stays.
std::expected<void, std::string> make(const std::string& folder, const std::string& path) {
  const std::string unfinished = fmt::format("{}.{}", path, ::getpid());
  const std::string text = StickyKeys::new_file();
  io::FileDescriptor file(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return std::unexpected("cannot make it: " + reason());
  std::string error;
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0) {
    error = "cannot write it: " + reason();
  } else if (::link(unfinished.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    error = "cannot make it: " + reason();
  }
  ::unlink(unfinished.c_str());
  const io::FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (error.empty() && (!directory || ::fsync(directory.get()) != 0)) {
    error = "cannot sync its folder: " + reason();
  }
  if (!error.empty()) return std::unexpected(error);
  return {};
}

std::expected<std::optional<Text>, std::string> read_or_make(const conf::Config& config,
                                                             const std::string& key_file,
                                                             bool make_missing) {
  const std::string& folder = config.runtime.state_directory;
  const std::string path = key_file.empty() ? folder + "/" + kStickyKeyFile : key_file;
  auto text = read(path);
  if (!text || *text) return text;
  if (!key_file.empty()) {
    return std::unexpected(
        fmt::format("it does not exist; make it with `openssl rand -hex {}`, for its owner alone",
                    StickyKeys::kSecretBytes));
  }
  if (!make_missing) return std::nullopt;
  if (const auto made = make(folder, path); !made) return std::unexpected(made.error());
  return read(path);
}

}  // namespace

std::expected<LoadedStickyKeys, std::vector<std::string>> load_sticky_keys(
    const conf::Config& config, bool make_missing) {
  LoadedStickyKeys loaded;
  std::vector<std::string> errors;
  for (const conf::Route& route : config.routes) {
    if (!needs_cookies(route) || loaded.ring.contains(route.sticky->key_file)) continue;
    const std::string& key_file = route.sticky->key_file;
    const std::string shown =
        key_file.empty() ? config.runtime.state_directory + "/" + kStickyKeyFile : key_file;
    const auto text = read_or_make(config, key_file, make_missing);
    const auto keys = !text   ? std::unexpected(text.error())
                      : *text ? StickyKeys::parse((*text)->text)
                              : std::expected<StickyKeys, std::string>(std::unexpected(""));
    if (text && !*text) continue;
    if (!keys) {
      errors.push_back(fmt::format("{}:{}: route {}: key_file {}: {}", config.file,
                                   route.sticky->line, route.name, shown, keys.error()));
      continue;
    }
    if ((*text)->others_can_read) {
      loaded.warnings.push_back(fmt::format(
          "key_file {} can be read by everybody, who could then make cookies: chmod 600 {}", shown,
          shown));
    }
    loaded.ring.emplace(key_file, std::make_shared<const StickyKeys>(*keys));
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return loaded;
}

}  // namespace sluice::proxy
