#include "tests/proxy/disk_model.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <memory>

namespace sluice::testing_disk {
namespace {

struct Recorder {
  bool on = false;
  std::string directory;
  std::vector<Call> calls;
  int mark = 0;
  Call::Kind fail_kind = Call::Kind::write;
  int fail_in = 0;  // so many more calls of that kind until one fails; 0: none
  int fail_times = 0;
  int error = 0;
};

Recorder& recorder() {
  static Recorder one;
  return one;
}

// The name within the recorded directory; "" for the directory itself; nullopt: elsewhere.
std::optional<std::string> name_of(const std::string& path) {
  const Recorder& record = recorder();
  if (!record.on || !path.starts_with(record.directory)) return {};
  if (path.size() == record.directory.size()) return "";
  return path.substr(record.directory.size() + 1);
}

std::optional<std::string> name_of(int fd) {
  if (!recorder().on) return {};
  std::error_code error;
  const auto path =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).string();
  return error ? std::nullopt : name_of(path);
}

// False: the call is to fail, and errno says how.
bool record(Call call) {
  Recorder& record = recorder();
  if (record.fail_in > 0 && call.kind == record.fail_kind && --record.fail_in == 0) {
    if (--record.fail_times > 0) record.fail_in = 1;
    errno = record.error;
    return false;
  }
  call.mark = record.mark;
  record.calls.push_back(std::move(call));
  return true;
}

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

struct File {
  std::string durable;
  std::string live;
  std::vector<const Call*> pending;  // writes and truncations since the last sync
};

struct Disk {
  std::map<std::string, std::shared_ptr<File>> names;
  std::map<std::string, std::shared_ptr<File>> durable_names;
};

void carry_out(std::string& bytes, const Call& call, std::size_t length) {
  if (call.kind == Call::Kind::truncate) {
    bytes.resize(call.offset);
    return;
  }
  if (length == 0) return;
  bytes.resize(std::max<std::size_t>(bytes.size(), call.offset + length), '\0');
  bytes.replace(call.offset, length, call.bytes, 0, length);
}

Disk replay(const std::vector<Call>& calls, std::size_t count) {
  Disk disk;
  for (std::size_t i = 0; i < count; ++i) {
    const Call& call = calls[i];
    switch (call.kind) {
      case Call::Kind::create:
        disk.names[call.path] = std::make_shared<File>();
        break;
      case Call::Kind::write:
      case Call::Kind::truncate: {
        File& file = *disk.names.at(call.path);
        carry_out(file.live, call, call.bytes.size());
        file.pending.push_back(&call);
        break;
      }
      case Call::Kind::sync: {
        File& file = *disk.names.at(call.path);
        file.durable = file.live;
        file.pending.clear();
        break;
      }
      case Call::Kind::sync_directory:
        disk.durable_names = disk.names;
        break;
      case Call::Kind::rename:
        disk.names[call.to] = disk.names.at(call.path);
        disk.names.erase(call.path);
        break;
      case Call::Kind::remove:
        disk.names.erase(call.path);
        break;
    }
  }
  return disk;
}

// Of what was not synced, the first few calls, the last of them perhaps in part or as zero bytes.
std::string what_survives(const File& file, std::mt19937& random) {
  std::string bytes = file.durable;
  const std::size_t kept = random() % (file.pending.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) {
    const Call& call = *file.pending[i];
    const bool last = i + 1 == kept;
    const std::size_t length =
        last && random() % 2 == 0 ? random() % (call.bytes.size() + 1) : call.bytes.size();
    carry_out(bytes, call, length);
    // The new size came to the disk before the data did.
    if (last && length < call.bytes.size() && random() % 3 == 0) {
      bytes.resize(call.offset + call.bytes.size(), '\0');
    }
  }
  return bytes;
}

}  // namespace

void begin_recording(const std::string& directory) {
  recorder() = {};
  recorder().directory = directory;
  recorder().on = true;
}

std::vector<Call> end_recording() {
  recorder().on = false;
  return std::move(recorder().calls);
}

void mark(int number) {
  recorder().mark = number;
}

void fail(Call::Kind kind, int nth, int error, int times) {
  recorder().fail_kind = kind;
  recorder().fail_in = nth;
  recorder().fail_times = times;
  recorder().error = error;
}

Image after_kill(const std::vector<Call>& calls, std::size_t count) {
  Image image;
  for (const auto& [name, file] : replay(calls, count).names) image[name] = file->live;
  return image;
}

Image after_power_loss(const std::vector<Call>& calls, std::size_t count, std::mt19937& random) {
  const Disk disk = replay(calls, count);
  const auto& names = random() % 2 == 0 ? disk.durable_names : disk.names;
  Image image;
  for (const auto& [name, file] : names) image[name] = what_survives(*file, random);
  return image;
}

void put_on_disk(const Image& image, const std::string& directory) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  for (const auto& [name, bytes] : image) {
    std::ofstream(directory + "/" + name, std::ios::binary) << bytes;
  }
}

}  // namespace sluice::testing_disk

// --- In front of the C library ------------------------------------------------------------------

using sluice::testing_disk::Call;
namespace disk = sluice::testing_disk;

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  static const auto next = disk::real<int (*)(const char*, int, ...)>("open");
  const auto name = disk::name_of(std::string(path));
  const bool existed = ::access(path, F_OK) == 0;
  const int fd = next(path, flags, mode);
  if (fd >= 0 && name && !name->empty() && (flags & O_CREAT) != 0) {
    if (!existed) {
      disk::record({.kind = Call::Kind::create, .path = *name, .to = {}, .bytes = {}});
    } else if ((flags & O_TRUNC) != 0) {
      disk::record({.kind = Call::Kind::truncate, .path = *name, .to = {}, .bytes = {}});
    }
  }
  return fd;
}

ssize_t pwrite(int fd, const void* bytes, size_t length, off_t offset) {
  static const auto next = disk::real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  if (const auto name = disk::name_of(fd); name) {
    const bool goes_on = disk::record({.kind = Call::Kind::write,
                                       .path = *name,
                                       .to = {},
                                       .offset = static_cast<std::uint64_t>(offset),
                                       .bytes = {static_cast<const char*>(bytes), length}});
    if (!goes_on) return -1;
  }
  return next(fd, bytes, length, offset);
}

int ftruncate(int fd, off_t length) noexcept {
  static const auto next = disk::real<int (*)(int, off_t)>("ftruncate");
  if (const auto name = disk::name_of(fd); name) {
    const bool goes_on = disk::record({.kind = Call::Kind::truncate,
                                       .path = *name,
                                       .to = {},
                                       .offset = static_cast<std::uint64_t>(length),
                                       .bytes = {}});
    if (!goes_on) return -1;
  }
  return next(fd, length);
}

int fsync(int fd) {
  static const auto next = disk::real<int (*)(int)>("fsync");
  if (const auto name = disk::name_of(fd); name) {
    const Call::Kind kind = name->empty() ? Call::Kind::sync_directory : Call::Kind::sync;
    if (!disk::record({.kind = kind, .path = *name, .to = {}, .bytes = {}})) return -1;
    return 0;  // the model is the disk; the real one would only cost time
  }
  return next(fd);
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = disk::real<int (*)(const char*, const char*)>("rename");
  const auto name = disk::name_of(std::string(from));
  if (name) {
    const bool goes_on = disk::record({.kind = Call::Kind::rename,
                                       .path = *name,
                                       .to = disk::name_of(std::string(to)).value_or(""),
                                       .bytes = {}});
    if (!goes_on) return -1;
  }
  return next(from, to);
}

int unlink(const char* path) noexcept {
  static const auto next = disk::real<int (*)(const char*)>("unlink");
  const bool existed = ::access(path, F_OK) == 0;
  if (const auto name = disk::name_of(std::string(path)); name && existed) {
    disk::record({.kind = Call::Kind::remove, .path = *name, .to = {}, .bytes = {}});
  }
  return next(path);
}

}  // extern "C"
