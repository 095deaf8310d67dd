#include "proxy/control/ledger_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace sluice::proxy {
namespace {

std::unexpected<std::string> failure(std::string_view what, const std::string& path) {
  return std::unexpected(fmt::format("ledger {}: {}: {}", path, what, std::strerror(errno)));
}

LedgerCopy::Done write_at(int fd, std::string_view text, std::uint64_t offset,
                          const std::string& path) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t put =
        ::pwrite(fd, text.data() + done, text.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return failure("cannot write", path);
    done += static_cast<std::size_t>(put);
  }
  return {};
}

LedgerCopy::Done sync_directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  const io::FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return failure("fsync", directory);
  return {};
}

}  // namespace

std::expected<void, std::string> make_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!error) return {};
  return std::unexpected(
      fmt::format("state directory {}: cannot be made: {}", directory, error.message()));
}

std::expected<io::FileDescriptor, std::string> write_whole(const std::string& path,
                                                           std::string_view text) {
  const std::string fresh = path + ".new";
  io::FileDescriptor fd(::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!fd) return failure("cannot be made", fresh);
  auto done = write_at(fd.get(), text, 0, fresh);
  if (done && ::fsync(fd.get()) != 0) done = failure("fsync failed", fresh);
  if (done && ::rename(fresh.c_str(), path.c_str()) != 0) done = failure("cannot rename", fresh);
  if (!done) {
    ::unlink(fresh.c_str());
    return std::unexpected(std::move(done.error()));
  }
  if (done = sync_directory_of(path); !done) return std::unexpected(std::move(done.error()));
  return fd;
}

std::expected<std::string, std::string> LedgerCopy::open() {
  fd_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!fd_) return failure("cannot open it", path_);
  struct stat about {};
  if (::fstat(fd_.get(), &about) != 0) return failure("stat", path_);
  if (!S_ISREG(about.st_mode) || static_cast<std::uint64_t>(about.st_size) > kBytesMax) {
    return std::unexpected(fmt::format("ledger {}: not a file of a sensible size", path_));
  }
  std::string text(static_cast<std::size_t>(about.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t got =
        ::pread(fd_.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", path_);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  durable_bytes_ = written_bytes_ = done;
  return text;
}

LedgerCopy::Done LedgerCopy::settle(std::uint64_t good_bytes) {
  if (good_bytes < durable_bytes_ && ::ftruncate(fd_.get(), static_cast<off_t>(good_bytes)) != 0) {
    return failure("cannot cut the torn tail", path_);
  }
  durable_bytes_ = written_bytes_ = good_bytes;
  if (::fsync(fd_.get()) != 0) {
    auto failed = failure("fsync failed, so the file is not trusted any more", path_);
    broken_ = failed.error();
    return failed;
  }
  return sync_directory_of(path_);
}

LedgerCopy::Done LedgerCopy::write(std::string_view text) {
  if (!broken_.empty()) return std::unexpected(broken_);
  if (auto done = write_at(fd_.get(), text, written_bytes_, path_); !done) {
    if (auto back = take_back(); !back) broken_ = std::move(back.error());
    return done;
  }
  written_bytes_ += text.size();
  return {};
}

LedgerCopy::Done LedgerCopy::sync() {
  if (::fsync(fd_.get()) != 0) {
    // The kernel may have dropped what it could not write and call it clean: no later fsync tells.
    auto failed = failure("fsync failed, so the file is not trusted any more", path_);
    broken_ = failed.error();
    return failed;
  }
  durable_bytes_ = written_bytes_;
  return {};
}

LedgerCopy::Done LedgerCopy::take_back() {
  if (::ftruncate(fd_.get(), static_cast<off_t>(durable_bytes_)) != 0) {
    return failure("cannot take a record back", path_);
  }
  written_bytes_ = durable_bytes_;
  return {};
}

LedgerCopy::Done LedgerCopy::replace(std::string_view text) {
  auto fresh = write_whole(path_, text);
  if (!fresh) return std::unexpected(std::move(fresh.error()));
  fd_ = std::move(*fresh);
  durable_bytes_ = written_bytes_ = text.size();
  broken_.clear();
  return {};
}

}  // namespace sluice::proxy
