#include "proxy/control/ledger_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace sluice::proxy {
namespace {

// More than this is no ledger of ours.
constexpr off_t kFileBytesMax = off_t{4} * 1024 * 1024 * 1024;

std::string failure(std::string_view what, const std::string& path) {
  return fmt::format("ledger {}: {}: {}", path, what, std::strerror(errno));
}

std::expected<void, std::string> sync_directory(const std::string& directory) {
  const io::FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return std::unexpected(failure("fsync", directory));
  return {};
}

std::expected<std::string, std::string> read_all(int fd, const std::string& path) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return std::unexpected(failure("stat", path));
  if (!S_ISREG(about.st_mode) || about.st_size > kFileBytesMax) {
    return std::unexpected(fmt::format("ledger {}: not a file of a sensible size", path));
  }
  std::string text(static_cast<std::size_t>(about.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t got =
        ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(failure("read", path));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return text;
}

}  // namespace

std::expected<LedgerFile::Opened, std::string> LedgerFile::open(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return std::unexpected(
        fmt::format("state directory {}: cannot be made: {}", directory, error.message()));
  }
  const std::string path = directory + "/ledger";
  io::FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!fd) return std::unexpected(failure("cannot open it", path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return std::unexpected(fmt::format(
        "ledger {}: another process holds it; is Sluice running with this state directory already?",
        path));
  }
  const auto text = read_all(fd.get(), path);
  if (!text) return std::unexpected(text.error());

  Opened opened;
  opened.file.reset(new LedgerFile(std::move(fd), path));
  LedgerFile& file = *opened.file;
  auto contents = routing::read_ledger(*text);
  if (!contents) {
    opened.damage = fmt::format("ledger {}: damaged at byte {}: {}", path, contents.error().offset,
                                contents.error().message);
    file.broken_ = opened.damage;
    file.bytes_ = text->size();
    const auto before = routing::read_ledger(text->substr(0, contents.error().offset));
    if (before) opened.revisions = before->revisions;
    return opened;
  }
  opened.revisions = std::move(contents->revisions);
  opened.torn_bytes = contents->torn_bytes;
  file.chain_ = contents->chain;
  file.bytes_ = contents->good_bytes;
  if (contents->torn_bytes > 0 &&
      (::ftruncate(file.fd_.get(), static_cast<off_t>(file.bytes_)) != 0 ||
       ::fsync(file.fd_.get()) != 0)) {
    return std::unexpected(failure("cannot cut the torn tail", path));
  }
  if (file.bytes_ == 0) {
    if (const auto written = file.write_header(); !written) {
      return std::unexpected(written.error());
    }
  }
  // Whatever the process before us was cut off in: what is served from here on is on the disk.
  if (::fsync(file.fd_.get()) != 0) return std::unexpected(failure("fsync", path));
  if (const auto synced = sync_directory(directory); !synced) {
    return std::unexpected(synced.error());
  }
  return opened;
}

std::expected<void, std::string> LedgerFile::write_header() {
  if (auto written = write_durably(routing::kLedgerHeader); !written) return written;
  chain_ = routing::ledger_chain_start();
  return {};
}

std::expected<void, std::string> LedgerFile::append(const routing::Revision& revision) {
  if (owed_) {
    if (auto written = append_one(*owed_); !written) return written;
    owed_.reset();
  }
  return append_one(revision);
}

std::expected<void, std::string> LedgerFile::append_one(const routing::Revision& revision) {
  if (!broken_.empty()) return std::unexpected(broken_);
  const auto record = routing::encode_record(revision, chain_);
  if (!record) return std::unexpected(record.error());
  if (auto written = write_durably(record->text); !written) return written;
  chain_ = record->chain;
  return {};
}

bool LedgerFile::take_back() {
  return ::ftruncate(fd_.get(), static_cast<off_t>(bytes_)) == 0;
}

std::expected<void, std::string> LedgerFile::write_durably(std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t put = ::pwrite(fd_.get(), text.data() + done, text.size() - done,
                                 static_cast<off_t>(bytes_ + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      std::string why = failure("cannot write", path_);
      if (!take_back()) broken_ = failure("cannot take a half-written record back", path_);
      return std::unexpected(std::move(why));
    }
    done += static_cast<std::size_t>(put);
  }
  if (::fsync(fd_.get()) != 0) {
    const int error = errno;
    take_back();  // so that a restart doesn't put in force what was refused
    errno = error;
    broken_ = failure("fsync failed, so the file is not trusted any more; restart to read it anew",
                      path_);
    return std::unexpected(broken_);
  }
  bytes_ += text.size();
  return {};
}

}  // namespace sluice::proxy
